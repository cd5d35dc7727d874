from kit_world import WORLD, KitRuleBroken

WORLD.require_app(__name__)


class PhysXFabric:
    def force_update(self, elapsedStep: float, currentTime: float) -> None:
        if currentTime <= 0.0:
            raise KitRuleBroken("Fabric was updated before the first step")


def get_physx_fabric_interface() -> PhysXFabric:
    return PhysXFabric()
