from kit_world import WORLD

_ENABLED = {"omni.physx", "omni.physics.tensors", "omni.physx.fabric"}


class ExtensionManager:
    def is_extension_enabled(self, ext_id: str) -> bool:
        return ext_id in _ENABLED

    def set_extension_enabled_immediate(self, ext_id: str, enabled: bool) -> bool:
        if ext_id != "isaacsim.core.cloner":
            return False
        _ENABLED.add(ext_id)
        return True


class IApp:
    def is_running(self) -> bool:
        return WORLD.running

    def get_extension_manager(self) -> ExtensionManager:
        return ExtensionManager()


def get_app() -> IApp:
    return IApp()
