"""Copies of prims, by inheritance, and of their physics, by the replicator of omni.physx."""

import omni.usd
from kit_world import WORLD
from omni.physx import get_physx_replicator_interface
from pxr import Gf, PhysxSchema, Sdf, UsdGeom, UsdUtils

__all__ = ["Cloner"]

WORLD.require_app(__name__)
_NO_PATHS = [] if WORLD.version == "5.1" else None


class Cloner:
    def __init__(self, stage=None):
        self._stage = stage or omni.usd.get_context().get_stage()
        self._base_env_path = None
        self._root_path = None

    def define_base_env(self, base_env_path: str):
        UsdGeom.Scope.Define(self._stage, base_env_path)
        self._base_env_path = base_env_path

    def generate_paths(self, root_path: str, num_paths: int):
        self._root_path = f"{root_path}_"
        return [f"{self._root_path}{k}" for k in range(num_paths)]

    def clone(
        self,
        source_prim_path: str,
        prim_paths: list,
        positions=None,
        orientations=None,
        replicate_physics: bool = False,
        base_env_path: str = None,
        root_path: str = None,
        copy_from_source: bool = False,
        unregister_physics_replication: bool = False,
        enable_env_ids: bool = False,
        clone_in_fabric: bool = False,
    ):
        if positions is not None and len(positions) != len(prim_paths):
            raise ValueError("Dimension mismatch between positions and prim_paths!")
        if not self._stage.GetPrimAtPath(source_prim_path):
            raise Exception("Source prim does not exist")
        others = [path for path in prim_paths if path != source_prim_path]
        layer = self._stage.GetRootLayer()
        for path in others:
            spec = Sdf.CreatePrimInLayer(layer, path)
            spec.inheritPathList.Prepend(source_prim_path)
        for k, path in enumerate(prim_paths):
            x, y, z = (0.0, 0.0, 0.0) if positions is None else map(float, positions[k])
            form = UsdGeom.Xformable(self._stage.GetPrimAtPath(path))
            form.ClearXformOpOrder()
            form.AddTranslateOp().Set(Gf.Vec3d(x, y, z))
        if replicate_physics and others:
            self.replicate_physics(
                source_prim_path,
                prim_paths,
                base_env_path,
                root_path,
                enable_env_ids,
                clone_in_fabric,
            )

    def replicate_physics(
        self,
        source_prim_path: str,
        prim_paths: list,
        base_env_path: str,
        root_path: str,
        enable_env_ids: bool = False,
        clone_in_fabric: bool = False,
    ):
        base, root = base_env_path or self._base_env_path, root_path or self._root_path
        if base is None or root is None:
            raise ValueError("base_env_path and root_path need to be specified!")
        first = 0 if source_prim_path not in prim_paths else 1
        stage_id = UsdUtils.StageCache.Get().Insert(self._stage).ToLongInt()
        replicator = get_physx_replicator_interface()
        replicator.register_replicator(
            stage_id,
            lambda stage_id: [base],
            lambda stage_id: replicator.replicate(
                stage_id,
                source_prim_path,
                len(prim_paths) - first,
                enable_env_ids,
                clone_in_fabric,
            ),
            lambda path, index: f"{root}{index + first}",
        )

    def filter_collisions(
        self,
        physicsscene_path: str,
        collision_root_path: str,
        prim_paths: list,
        global_paths: list = _NO_PATHS,
    ):
        scene = self._stage.GetPrimAtPath(physicsscene_path)
        PhysxSchema.PhysxSceneAPI(scene).CreateInvertCollisionGroupFilterAttr().Set(True)
        UsdGeom.Scope.Define(self._stage, collision_root_path)
        shared = [self._group(f"{collision_root_path}/global_group", global_paths or [])]
        for k, path in enumerate(prim_paths):
            group = self._group(f"{collision_root_path}/group{k}", [path])
            group.CreateRelationship("physics:filteredGroups").AddTarget(shared[0].GetPath())
            shared[0].CreateRelationship("physics:filteredGroups").AddTarget(group.GetPath())

    def _group(self, path, members):
        group = self._stage.DefinePrim(path, "PhysicsCollisionGroup")
        group.CreateRelationship("physics:filteredGroups").AddTarget(path)
        includes = group.CreateRelationship("collection:colliders:includes")
        for member in members:
            includes.AddTarget(member)
        return group
