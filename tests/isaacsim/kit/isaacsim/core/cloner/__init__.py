from .impl.cloner import *
