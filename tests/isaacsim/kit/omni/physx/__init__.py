from .bindings._physx import (
    acquire_physx_interface,
    acquire_physx_replicator_interface,
    acquire_physx_simulation_interface,
)


def get_physx_interface():
    return acquire_physx_interface()


def get_physx_simulation_interface():
    return acquire_physx_simulation_interface()


def get_physx_replicator_interface():
    return acquire_physx_replicator_interface()
