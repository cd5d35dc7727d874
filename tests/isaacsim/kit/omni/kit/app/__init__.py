from kit_world import WORLD

_THERE = {"omni.physx.fabric", "omni.replicator.core", "isaacsim.core.cloner"}


class ExtensionManager:
    def is_extension_enabled(self, ext_id: str) -> bool:
        return ext_id in WORLD.extensions

    def set_extension_enabled_immediate(self, ext_id: str, enabled: bool) -> bool:
        if ext_id not in _THERE:
            return False
        WORLD.extensions.add(ext_id)
        return True


class IApp:
    def is_running(self) -> bool:
        return WORLD.running

    async def next_update_async(self) -> float:
        WORLD.update()
        return 0.0

    def get_extension_manager(self) -> ExtensionManager:
        return ExtensionManager()


def get_app() -> IApp:
    return IApp()
