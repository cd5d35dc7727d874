from .api import create_simulation_view
