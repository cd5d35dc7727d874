"""In place of the compiled bindings of omni.physx."""

from kit_world import WORLD, KitRuleBroken

WORLD.require_app(__name__)


class PhysX:
    def force_load_physics_from_usd(self) -> None:
        WORLD.load()

    def start_simulation(self) -> None:
        WORLD.require_physics().started = True

    def update_simulation(self, elapsedStep: float, currentTime: float) -> None:
        physics = WORLD.require_physics()
        if not physics.started:
            raise KitRuleBroken("the simulation was not started")
        physics.step(elapsedStep)

    def reset_simulation(self) -> None:
        WORLD.reset()


class IPhysxSimulation:
    def attach_stage(self, stage_id: int) -> bool:
        return WORLD.attach(stage_id)

    def detach_stage(self) -> None:
        WORLD.detach()

    def simulate(self, elapsed_time: float, current_time: float) -> None:
        physics = WORLD.require_physics()
        if physics.in_flight:
            raise KitRuleBroken("simulate() without fetch_results() of the step before")
        physics.in_flight = True
        physics.step(elapsed_time)

    def fetch_results(self) -> None:
        physics = WORLD.require_physics()
        if not physics.in_flight:
            raise KitRuleBroken("fetch_results() without simulate()")
        physics.in_flight = False


class IPhysxReplicator:
    def register_replicator(
        self, stage_id: int, replicator_attach_fn, replicator_attach_end_fn, hierarchy_rename_fn
    ):
        callbacks = replicator_attach_fn, replicator_attach_end_fn, hierarchy_rename_fn
        WORLD.replicators[stage_id] = callbacks

    def unregister_replicator(self, stage_id: int) -> None:
        WORLD.replicators.pop(stage_id, None)

    def replicate(
        self,
        stage_id: int,
        path: str,
        numReplications: int,
        useEnvIds: bool = False,
        useFabricForReplication: bool = False,
    ) -> bool:
        if useFabricForReplication:
            raise NotImplementedError("Fabric is not imitated")
        WORLD.loading.clones = path, numReplications, useEnvIds
        return True


def acquire_physx_interface() -> PhysX:
    return PhysX()


def acquire_physx_simulation_interface() -> IPhysxSimulation:
    return IPhysxSimulation()


def acquire_physx_replicator_interface() -> IPhysxReplicator:
    return IPhysxReplicator()
