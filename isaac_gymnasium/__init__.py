"""Isaac Sim's parallel scenes as a `gymnasium.vector.VectorEnv`, torch tensors in and out.

Example::

    import gymnasium as gym
    import isaac_gymnasium

    envs = gym.make_vec("IsaacFrankaCube-v0", num_envs=2048)
"""

from isaac_gymnasium.contract import check_vector_env
from isaac_gymnasium.registration import register, register_all, registered_tasks
from isaac_gymnasium.task import Task

__version__ = "0.1.0"
__all__ = ["Task", "__version__", "check_vector_env", "register", "registered_tasks"]

register_all()
