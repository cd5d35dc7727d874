from kit_world import WORLD

WORLD.require_app(__name__)


class UsdContext:
    def open_stage(self, path: str) -> bool:
        return WORLD.open_stage(path)

    def new_stage(self) -> bool:
        return WORLD.new_stage()

    def get_stage(self):
        return WORLD.stage

    def get_stage_id(self) -> int:
        return WORLD.stage_id

    def get_stage_loading_status(self) -> tuple:
        return "", 0, 0


def get_context(name: str = "") -> UsdContext:
    return UsdContext()
