class IExt:
    pass
