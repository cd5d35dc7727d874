def _fabric_clone(stage_id, source_prim_path, prim_paths):
    raise NotImplementedError("Fabric is not imitated")
