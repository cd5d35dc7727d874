"""As much of it as NVIDIA's own cloner calls."""


class SimulationManager:
    @classmethod
    def is_fabric_usd_notice_handler_enabled(cls, stage_id):
        return False

    @classmethod
    def enable_fabric_usd_notice_handler(cls, stage_id, flag):
        pass

    @classmethod
    def enable_usd_notice_handler(cls, flag):
        pass
