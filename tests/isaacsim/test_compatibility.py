"""Nothing is used that is missing from what Isaac Sim 5.1 brings: NumPy 1.26, torch 2.7, Warp 1.8.

The names below are those that later releases (NumPy 2.4, torch 2.13, Warp 1.19) have beside. What
a name does may have changed as well; docs/isaacsim.md says what was run with the old ones.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import isaac_gymnasium

PACKAGE = Path(isaac_gymnasium.__file__).parent
# The engine newton wants a Warp of its own day, and does not run beside Isaac Sim.
SOURCES = [p for p in sorted(PACKAGE.rglob("*.py")) if "newton" not in p.relative_to(PACKAGE).parts]
ALIASES = {"np": "numpy", "wp": "warp", "self._wp": "warp"}
LATER = {
    "numpy": """
        acos acosh asin asinh astype atan atan2 atanh bitwise_count bitwise_invert
        bitwise_left_shift bitwise_right_shift bool concat cumulative_prod cumulative_sum isdtype
        long matrix_transpose matvec permute_dims pow strings trapezoid ulong unique_all
        unique_counts unique_inverse unique_values unstack vecdot vecmat
    """,
    "numpy.linalg": """
        cross diagonal matmul matrix_norm matrix_transpose outer svdvals tensordot trace vecdot
        vector_norm
    """,
    "torch": """
        AcceleratorError float4_e2m1fn_x2 hash_tensor miopen_ctc_loss
        profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 thread_safe_generator
    """,
    "torch.nn.functional": """
        ScalingType SwizzleType grouped_mm linear_cross_entropy scaled_grouped_mm scaled_mm
    """,
    "torch.nn": """
        LinearCrossEntropyLoss LinearCrossEntropyOptions
    """,
    "torch.cuda": """
        AcceleratorError DEVICE_REQUIREMENT GreenContext PYTORCH_RELEASES_CODE_CC
        caching_allocator_disabled current_solver_handle
    """,
    "torch.optim": """
        Muon swap_in_optimizer_params_and_state
    """,
    "torch.func": """
        rearrange
    """,
    "warp": """
        Allocator BvhQueryTiled CaptureMode CudaManagedAllocator DeterministicMode Device DeviceLike
        GLTextureResource Graph JaxCallableGraphMode JaxModulePreloadMode LOG_DEBUG LOG_ERROR
        LOG_INFO LOG_WARNING Logger MemoryKind MeshQuery MeshQueryAABBTiled Module
        ModuleBuildOptions ScopedAllocator ScopedCudaProfiler ScopedLogLevel ScopedLogger
        ScopedMemoryTracker Texture Texture1D Texture2D Texture3D TextureAddressMode
        TextureFilterMode TextureResourceFlags WarpCodegenAttributeError WarpCodegenError
        WarpCodegenIndexError WarpCodegenKeyError WarpCodegenTypeError WarpCodegenValueError
        WarpDeterminismError address_of atomic_and atomic_or atomic_xor bfloat16 bit_count
        build_experimental can_access capture_load capture_load_from_bytes capture_save
        clear_jax_callable_graph_cache compile_aot_module copysign cuda_profiler_start
        cuda_profiler_stop erf erfc erfcinv erfinv fixedarray get_cpu_kernel_cache_key
        get_cuda_driver_version get_cuda_kernel_properties get_cuda_max_cluster_dim
        get_cuda_supported_archs get_cuda_toolkit_version get_device_allocator get_logger
        get_suggested_block_size grad handle is_conditional_graph_supported is_cubql_available
        jax_callable jax_kernel load_aot_module matrix_from_cols matrix_from_rows print_diagnostics
        print_memory_report quat_from_euler quat_to_euler quat_to_rpy quat_twist quat_twist_angle
        quat_twist_angle_signed ref set_cuda_allocator set_device_allocator set_logger tile_stack
        transform_twist transform_wrench velocity_at_point volume_voxel_count
    """,
}
# It looks whether there is one first.
ASKED_FOR = {("_warp.py", "warp.LOG_WARNING")}


def names_used(source: str) -> Iterator[str]:
    """Full names of what a module takes from NumPy, torch and Warp."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            for alias, name in ALIASES.items():
                if owner == alias or owner.startswith(f"{alias}."):
                    owner = name + owner.removeprefix(alias)
            yield f"{owner}.{node.attr}"


def too_new(source: str) -> set[str]:
    later = {f"{module}.{name}" for module, names in LATER.items() for name in names.split()}
    return set(names_used(source)) & later


def test_nothing_is_newer_than_what_isaac_sim_brings() -> None:
    found = {
        (source.name, name)
        for source in SOURCES
        for name in too_new(source.read_text(encoding="utf-8"))
    }
    assert found == ASKED_FOR


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np; np.concat((a, b))",
        "import numpy as np; x = np.bool",
        "import numpy as np; np.linalg.vector_norm(a)",
        "from numpy import trapezoid",
        "import torch; torch.optim.Muon(p)",
        "import warp as wp; wp.bit_count(3)",
        "self._wp.Texture2D()",
    ],
)
def test_what_is_newer_is_found(line: str) -> None:
    assert too_new(line)
