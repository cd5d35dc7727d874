"""The pose and quaternion maths against rotation matrices written out by hand in float64."""

import math

import numpy as np
import pytest
import torch

from isaac_gymnasium import transforms as tf

ATOL = 2e-6  # a few float32 ulp of numbers of size 1
COUNT = 512


def random_quats(count=COUNT, seed=0):
    """Uniform over rotations, both signs of w, norm rounded once."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(count, 4))
    return torch.from_numpy((q / np.linalg.norm(q, axis=-1, keepdims=True)).astype(np.float32))


def random_vectors(count=COUNT, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32))


def random_poses(count=COUNT, seed=2):
    return torch.cat((random_vectors(count, seed), random_quats(count, seed + 100)), dim=-1)


def matrix_of(q):
    """Rotation matrix by Rodrigues' formula with the skew matrix, not by the code's own entries."""
    q = np.asarray(q, dtype=np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    x, y, z, w = np.moveaxis(q, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack(
        [np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2
    )
    return np.eye(3) + 2.0 * w[..., None, None] * skew + 2.0 * skew @ skew


def axis_matrix(axis, angle):
    c, s = math.cos(angle), math.sin(angle)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def homogeneous(pose):
    pose = np.asarray(pose, dtype=np.float64)
    out = np.zeros((*pose.shape[:-1], 4, 4))
    out[..., :3, :3] = matrix_of(pose[..., 3:])
    out[..., :3, 3] = pose[..., :3]
    out[..., 3, 3] = 1.0
    return out


def assert_close(actual, expected, atol=ATOL):
    np.testing.assert_allclose(np.asarray(actual, dtype=np.float64), expected, rtol=0, atol=atol)


def assert_same_rotation(a, b, atol=ATOL):
    assert_close(matrix_of(a), matrix_of(b), atol)


def test_identity_turns_nothing_and_has_the_asked_shape():
    q = tf.quat_identity((2, 5), "cpu")
    assert q.shape == (2, 5, 4) and q.dtype == torch.float32
    v = random_vectors(10).view(2, 5, 3)
    assert torch.equal(tf.quat_rotate(q, v), v)
    assert torch.equal(
        tf.quat_mul(q, random_quats(10).view(2, 5, 4)), random_quats(10).view(2, 5, 4)
    )


def test_component_order_is_xyzw():
    quarter_turn_about_z = torch.tensor([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])
    assert_close(tf.quat_rotate(quarter_turn_about_z, torch.tensor([1.0, 0.0, 0.0])), [0, 1, 0])


def test_mul_is_the_matrix_product():
    a, b = random_quats(seed=3), random_quats(seed=4)
    assert_close(matrix_of(tf.quat_mul(a, b)), matrix_of(a) @ matrix_of(b))
    assert_close(tf.quat_mul(a, b).norm(dim=-1), np.ones(COUNT))


def test_mul_has_hamiltons_signs():
    i, j, k, one = torch.eye(4)
    assert torch.equal(tf.quat_mul(i, j), k)
    assert torch.equal(tf.quat_mul(j, k), i)
    assert torch.equal(tf.quat_mul(k, i), j)
    for unit in (i, j, k):
        assert torch.equal(tf.quat_mul(unit, unit), -one)


def test_mul_by_the_conjugate_has_an_exactly_zero_vector_part():
    q = random_quats()
    for product in (tf.quat_mul(q, tf.quat_conjugate(q)), tf.quat_mul(tf.quat_conjugate(q), q)):
        assert torch.equal(product[:, :3], torch.zeros(COUNT, 3))
        assert_close(product[:, 3], np.ones(COUNT))


def test_rotate_is_the_matrix_times_the_vector_and_inverse_its_transpose():
    q, v = random_quats(), random_vectors()
    m, v64 = matrix_of(q), v.double().numpy()
    assert_close(tf.quat_rotate(q, v), np.einsum("nij,nj->ni", m, v64), atol=4e-6)
    assert_close(tf.quat_rotate_inverse(q, v), np.einsum("nji,nj->ni", m, v64), atol=4e-6)


@pytest.mark.parametrize("axis", "xyz")
@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.3, math.pi / 2, math.pi, -2.0, 5.0])
def test_axis_angle_is_the_elementary_rotation(axis, angle):
    direction = torch.eye(3)["xyz".index(axis)]
    q = tf.quat_from_axis_angle(direction, torch.tensor(angle))
    assert_close(matrix_of(q), axis_matrix(axis, angle))


def test_axis_angle_broadcasts_one_axis_over_angles_and_one_angle_over_axes():
    axis, angles = torch.tensor([0.0, 0.0, 1.0]), torch.linspace(-3, 3, 7)
    assert tf.quat_from_axis_angle(axis, angles).shape == (7, 4)
    assert tf.quat_from_axis_angle(axis.expand(5, 1, 3), angles).shape == (5, 7, 4)
    assert tf.quat_from_axis_angle(torch.eye(3), torch.tensor(0.5)).shape == (3, 4)


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-13, 1e-12, 1e-6, 1e-3, 1.0, 3.14, math.pi, 4.5])
def test_rotation_vector_makes_the_unit_quaternion_of_that_angle(length):
    direction = torch.nn.functional.normalize(random_vectors(), dim=-1)
    q = tf.quat_from_rotation_vector(direction * length)
    expected = direction.double().numpy() * math.sin(length / 2)
    np.testing.assert_allclose(q[:, :3].double().numpy(), expected, rtol=1e-5, atol=2e-7 * length)
    assert_close(q[:, 3], np.full(COUNT, math.cos(length / 2)))


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-13, 1e-12, 1e-9, 1e-6, 1e-3, 1.0, 3.0])
def test_rotation_vector_round_trip_keeps_relative_precision(length):
    v = torch.nn.functional.normalize(random_vectors(), dim=-1) * length
    back = tf.quat_to_rotation_vector(tf.quat_from_rotation_vector(v))
    np.testing.assert_allclose(back.numpy(), v.numpy(), rtol=0, atol=2e-6 * length)


def test_rotation_vector_takes_the_shorter_way_for_either_sign():
    q = random_quats()
    v = tf.quat_to_rotation_vector(q)
    assert torch.equal(tf.quat_to_rotation_vector(-q), v)
    assert v.norm(dim=-1).max() <= math.pi + 1e-6
    assert_same_rotation(tf.quat_from_rotation_vector(v), q)


def test_rotation_vector_of_a_half_turn_is_pi_long():
    q = torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 1.0, -0.0], [0.6, 0.8, 0, 0]])
    expected = math.pi * q[:, :3].double().numpy()
    assert_close(tf.quat_to_rotation_vector(q), expected)


def test_rotation_vector_of_identity_is_exactly_zero_for_either_sign():
    one = tf.quat_identity((1,), "cpu")
    assert torch.equal(tf.quat_to_rotation_vector(torch.cat((one, -one))), torch.zeros(2, 3))


def test_euler_is_extrinsic_x_then_y_then_z():
    angles = (np.random.default_rng(5).uniform(-np.pi, np.pi, (64, 3))).astype(np.float32)
    roll, pitch, yaw = torch.from_numpy(angles).unbind(-1)
    expected = [
        axis_matrix("z", y) @ axis_matrix("y", p) @ axis_matrix("x", r)
        for r, p, y in angles.astype(np.float64)
    ]
    assert_close(matrix_of(tf.quat_from_euler_xyz(roll, pitch, yaw)), np.stack(expected))


def test_euler_broadcasts():
    q = tf.quat_from_euler_xyz(torch.zeros(3, 1), torch.tensor(0.1), torch.zeros(4))
    assert q.shape == (3, 4, 4)


def test_yaw_is_recovered_while_the_pitch_is_below_a_right_angle():
    rng = np.random.default_rng(6)
    roll, pitch, yaw = torch.from_numpy(
        rng.uniform([[-3], [-1.3], [-3.14]], [[3], [1.3], [3.14]], (3, COUNT)).astype(np.float32)
    )
    assert_close(tf.yaw_from_quat(tf.quat_from_euler_xyz(roll, pitch, yaw)), yaw.double(), 1e-5)


@pytest.mark.parametrize(
    ("quat", "yaw"),
    [
        ([0.0, 0.0, 0.0, 1.0], 0.0),
        ([0.0, 0.0, 1.0, 0.0], math.pi),
        ([0.0, 0.0, 0.5**0.5, 0.5**0.5], math.pi / 2),
        ([0.0, 0.0, -(0.5**0.5), 0.5**0.5], -math.pi / 2),
        ([0.0, 1.0, 0.0, 0.0], math.pi),
        ([1.0, 0.0, 0.0, 0.0], 0.0),
    ],
)
def test_yaw_of_quarter_and_half_turns(quat, yaw):
    assert_close(tf.yaw_from_quat(torch.tensor(quat)), yaw)


def test_yaw_is_finite_where_the_body_points_straight_up():
    q = torch.tensor([[0.5, 0.5, -0.5, 0.5], [0.0, -(0.5**0.5), 0.0, 0.5**0.5]])
    assert tf.yaw_from_quat(q).isfinite().all()


def test_own_atan2_agrees_with_numpy_in_every_quadrant_and_on_the_axes():
    grid = torch.tensor([-2.0, -1.0, -1e-3, -1e-20, 0.0, 1e-20, 1e-3, 1.0, 2.0])
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    assert_close(tf.atan2(y, x), np.arctan2(y.double().numpy(), x.double().numpy()), 4e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 1e-4, 0.5, math.pi / 2, 3.1, math.pi])
def test_angle_between_is_the_angle_turned(angle):
    a = random_quats()
    axis = torch.nn.functional.normalize(random_vectors(), dim=-1)
    b = tf.quat_mul(tf.quat_from_axis_angle(axis, torch.tensor(angle)), a)
    assert_close(tf.quat_angle(a, b), np.full(COUNT, angle), 1e-6)
    assert_close(tf.quat_angle(b, -a), np.full(COUNT, angle), 1e-6)


def test_angle_to_itself_is_exactly_zero():
    assert torch.equal(tf.quat_angle(random_quats(), random_quats()), torch.zeros(COUNT))


def test_to_matrix_agrees_with_rodrigues():
    q = random_quats()
    assert_close(tf.quat_to_matrix(q), matrix_of(q))


def test_from_matrix_undoes_to_matrix():
    q = random_quats()
    back = tf.quat_from_matrix(torch.from_numpy(matrix_of(q).astype(np.float32)))
    assert_same_rotation(back, q)
    largest = back.gather(-1, back.abs().argmax(-1, keepdim=True))
    assert (largest > 0).all()


def test_roll_pitch_and_yaw_lead_back_to_roll_and_yaw():
    roll, yaw = (torch.rand(COUNT) * 6.2 - 3.1 for _ in range(2))
    q = tf.quat_from_euler_xyz(roll, torch.rand(COUNT) * 3 - 1.5, yaw)
    for found, angle in ((tf.roll_from_quat(q), roll), (tf.yaw_from_quat(q), yaw)):
        assert_close(tf.wrap_to_pi(found - angle), np.zeros(COUNT), 1e-4)
    x, y = tf.roll_yaw_points(q)
    both = torch.stack((tf.roll_from_quat(q), tf.yaw_from_quat(q)), dim=-1)
    assert torch.equal(tf.atan2(y, x), both)
    matrix = tf.quat_to_matrix(q)
    seen = torch.stack((x[:, 0], x[:, 1], y[:, 1]), dim=-1)
    assert_close(seen, torch.stack((matrix[:, 2, 2], matrix[:, 0, 0], matrix[:, 1, 0]), dim=-1))


def test_a_turn_by_yaw_alone_is_that_of_three_angles_two_of_them_zero():
    yaw = torch.rand(COUNT) * 12.0 - 6.0
    level = torch.zeros(COUNT)
    assert torch.equal(tf.quat_from_yaw(yaw), tf.quat_from_euler_xyz(level, level, yaw))


def test_from_matrix_is_exact_for_identity_and_half_turns():
    diagonals = torch.tensor([[1.0, -1, -1], [-1, 1.0, -1], [-1, -1, 1.0], [1.0, 1, 1]])
    assert torch.equal(tf.quat_from_matrix(torch.diag_embed(diagonals)), torch.eye(4))


def test_from_matrix_stays_precise_near_a_half_turn():
    axes = torch.nn.functional.normalize(random_vectors(), dim=-1)
    q = tf.quat_from_axis_angle(axes, torch.tensor(math.pi - 1e-3))
    back = tf.quat_from_matrix(torch.from_numpy(matrix_of(q).astype(np.float32)))
    assert_same_rotation(back, q)


def test_poses_compose_and_invert_as_homogeneous_matrices():
    a, b = random_poses(seed=7), random_poses(seed=8)
    assert_close(homogeneous(tf.pose_compose(a, b)), homogeneous(a) @ homogeneous(b), 5e-6)
    assert_close(homogeneous(tf.pose_inverse(a)), np.linalg.inv(homogeneous(a)), 5e-6)


def test_orientation_error_takes_current_to_desired_in_the_world_frame():
    desired, current = random_quats(seed=9), random_quats(seed=10)
    error = tf.orientation_error(desired, current)
    assert_same_rotation(tf.quat_mul(tf.quat_from_rotation_vector(error), current), desired, 4e-6)
    assert_close(error.norm(dim=-1), tf.quat_angle(desired, current).double())
    world_turn = tf.quat_from_axis_angle(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.2))
    error = tf.orientation_error(tf.quat_mul(world_turn, current), current)
    assert_close(error, np.tile([0, 0, 0.2], (COUNT, 1)))


def test_orientation_error_of_itself_is_exactly_zero():
    q = random_quats()
    assert torch.equal(tf.orientation_error(q, q), torch.zeros(COUNT, 3))
    assert torch.equal(tf.orientation_error(-q, q), torch.zeros(COUNT, 3))


def test_wrap_to_pi_keeps_the_direction_and_the_interval():
    angle = torch.linspace(-50, 50, 4001)
    wrapped = tf.wrap_to_pi(angle)
    assert wrapped.abs().max() <= math.pi + 4e-6
    assert_close(wrapped.double().sin(), np.sin(angle.double().numpy()), 1e-5)
    assert_close(wrapped.double().cos(), np.cos(angle.double().numpy()), 1e-5)
    inside = torch.tensor([-math.pi, -3.0, 0.0, 3.0, math.pi])
    assert torch.equal(tf.wrap_to_pi(inside), inside)


def test_a_sum_in_order_is_a_sum_and_leaves_its_terms_alone():
    terms = random_poses(9).view(3, 3, 7)
    before = terms.clone()
    for dim in (0, 1, -1):
        assert_close(tf.sum_in_order(terms, dim), terms.double().sum(dim))
    assert torch.equal(terms, before)


def test_leading_dimensions_broadcast():
    q, v, pose = random_quats(6).view(6, 1, 4), random_vectors(5), random_poses(5)
    for rotated in (tf.quat_rotate(q, v), tf.quat_rotate_inverse(q, v)):
        assert rotated.shape == (6, 5, 3)
    assert torch.equal(tf.quat_rotate(q, v)[4, 3], tf.quat_rotate(q[4, 0], v[3]))
    assert tf.quat_rotate(q, v[0]).shape == (6, 1, 3)
    assert tf.quat_rotate(q[0, 0], v).shape == (5, 3)
    assert tf.quat_mul(q, random_quats(5)).shape == (6, 5, 4)
    assert tf.quat_mul(q[0, 0], random_quats(5)).shape == (5, 4)
    assert tf.pose_compose(random_poses(6).view(6, 1, 7), pose).shape == (6, 5, 7)
    assert tf.pose_compose(pose[0], pose).shape == (5, 7)


EVERY_FUNCTION = {
    "quat_mul": lambda p, o: tf.quat_mul(p[:, 3:], o[:, 3:]),
    "quat_conjugate": lambda p, o: tf.quat_conjugate(p[:, 3:]),
    "quat_rotate": lambda p, o: tf.quat_rotate(p[:, 3:], o[:, :3]),
    "quat_rotate_inverse": lambda p, o: tf.quat_rotate_inverse(p[:, 3:], o[:, :3]),
    "quat_from_axis_angle": lambda p, o: tf.quat_from_axis_angle(p[:, :3], o[:, 0]),
    "quat_from_rotation_vector": lambda p, o: tf.quat_from_rotation_vector(p[:, :3]),
    "quat_to_rotation_vector": lambda p, o: tf.quat_to_rotation_vector(p[:, 3:]),
    "quat_from_euler_xyz": lambda p, o: tf.quat_from_euler_xyz(p[:, 0], p[:, 1], p[:, 2]),
    "quat_from_yaw": lambda p, o: tf.quat_from_yaw(p[:, 0]),
    "yaw_from_quat": lambda p, o: tf.yaw_from_quat(p[:, 3:]),
    "roll_from_quat": lambda p, o: tf.roll_from_quat(p[:, 3:]),
    "roll_yaw_points": lambda p, o: torch.cat(tf.roll_yaw_points(p[:, 3:]), dim=-1),
    "quat_angle": lambda p, o: tf.quat_angle(p[:, 3:], o[:, 3:]),
    "quat_from_matrix": lambda p, o: tf.quat_from_matrix(tf.quat_to_matrix(p[:, 3:])),
    "quat_to_matrix": lambda p, o: tf.quat_to_matrix(p[:, 3:]),
    "pose_compose": tf.pose_compose,
    "pose_inverse": lambda p, o: tf.pose_inverse(p),
    "orientation_error": lambda p, o: tf.orientation_error(p[:, 3:], o[:, 3:]),
    "atan2": lambda p, o: tf.atan2(p, o),
    "wrap_to_pi": lambda p, o: tf.wrap_to_pi(10.0 * p),
    "sum_in_order": lambda p, o: tf.sum_in_order(p.unsqueeze(2) * o.unsqueeze(1), 1),
}


def test_every_public_function_is_held_to_batch_independence():
    assert set(EVERY_FUNCTION) | {"quat_identity"} == set(tf.__all__)


@pytest.mark.parametrize("name", EVERY_FUNCTION)
def test_a_row_has_the_same_bits_in_every_batch_size(name):
    poses, others = random_poses(333, seed=11), random_poses(333, seed=12)
    whole = EVERY_FUNCTION[name](poses, others)
    assert whole.dtype == torch.float32
    for count in (1, 2, 7, 15, 16, 31, 65):
        assert torch.equal(EVERY_FUNCTION[name](poses[:count], others[:count]), whole[:count])
        part = EVERY_FUNCTION[name](poses[-count:].clone(), others[-count:].clone())
        assert torch.equal(part, whole[-count:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", EVERY_FUNCTION)
def test_a_cuda_graph_captures_every_function_and_agrees_with_the_cpu(name):
    poses, others = random_poses(seed=13), random_poses(seed=14)
    static = poses.cuda().clone(), others.cuda().clone()
    EVERY_FUNCTION[name](*static)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = EVERY_FUNCTION[name](*static)
    graph.replay()
    assert_close(captured.cpu(), EVERY_FUNCTION[name](poses, others).double(), 1e-5)
    single = EVERY_FUNCTION[name](static[0][:1], static[1][:1])
    assert torch.equal(single, captured[:1])
