"""Whether a vector environment keeps gymnasium's contract, point by point.

Example::

    from isaac_gymnasium import check_vector_env

    check_vector_env(lambda **kwargs: MyVectorEnv(num_envs=4, **kwargs)).raise_for_failures()

It looks at any `gymnasium.vector.VectorEnv`, of NumPy arrays or of torch tensors.
"""

from isaac_gymnasium.contract.checker import check_vector_env
from isaac_gymnasium.contract.report import Point, Report

__all__ = ["Point", "Report", "check_vector_env"]
