from .bindings._physicsTensors import *
from .impl import *
