from kit_world import WORLD

WORLD.require_extension("omni.physx.fabric")


class PhysXFabric:
    def force_update(self, elapsedStep: float, currentTime: float) -> None:
        WORLD.update_fabric(currentTime)


def get_physx_fabric_interface() -> PhysXFabric:
    return PhysXFabric()
