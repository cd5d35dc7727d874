from kit_render import RenderProduct


def render_product_tiled(cameras, tile_resolution, force_new=False, name=None):
    return RenderProduct(list(cameras), tuple(tile_resolution), name or "Replicator")
