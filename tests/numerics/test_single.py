"""Single observations: a column of B where the error model is linear; what is said of increments in numbers."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from cases import GRID, observations, quiet
from conftest import small_network
from lora_envar.analysis.amplitudes import Amplitude, write_amplitudes
from lora_envar.analysis.assimilate import Case
from lora_envar.analysis.increments import Increments
from lora_envar.analysis.method import Inputs, VariationalMethod
from lora_envar.analysis.methods.letkf import LETKF
from lora_envar.analysis.methods.no_assimilation import NoAssimilation
from lora_envar.analysis.minimisation import MinimiserSettings
from lora_envar.analysis.single import Response, respond
from lora_envar.background.error_variables import ErrorVariables
from lora_envar.background.genbe import fit_genbe
from lora_envar.background.hybrid import Hybrid, LocalisedEnsemble
from lora_envar.background.prior import LowRankNormal
from lora_envar.background.spectral import GaussianBackgroundError, SpectralField
from lora_envar.background.vae import SpectralVAE, VAEBackgroundError
from lora_envar.fields.constants import EARTH_RADIUS, EARTH_ROTATION
from lora_envar.fields.grid import Grid
from lora_envar.fields.harmonics import SphericalHarmonics
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import LEVEL_OF_CHANNEL, LEVELS, channel_index
from lora_envar.files.ensemble_file import write_ensemble
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.single import parse_single
from lora_envar.verification.single import distances, half_widths, opposite_hemisphere_ratio, table_of

TIME = datetime(2009, 5, 1, 6, tzinfo=UTC)
WAVES = 5
HARMONICS = SphericalHarmonics(GRID, WAVES, torch.float64)
ERROR = 0.5
#: runs to the end of what float64 holds
TIGHT = MinimiserSettings(300, 50, 1e-11)
BACKGROUND = np.zeros((69, *GRID.shape))
Z500 = parse_single("z500@40N,20E+1.5")
LINEAR = ("gaussian", "genbe", "hybrid", "vae", "adapted_vae")


class Given(VariationalMethod):
    """A method with a background error that is given."""

    name = "given"

    def __init__(self, model, **settings):
        super().__init__({"background_weight": 1.0} | settings)
        self.model = model

    def background_error(self, inputs):
        return self.model


def states(count, seed):
    draws = torch.randn(count, 69, HARMONICS.size, dtype=torch.float64, generator=generator(seed, "states"))
    return HARMONICS.synthesise(draws / (1.0 + HARMONICS.degree))


def gaussian():
    """Homogeneous and isotropic, with correlated channels."""
    factor = torch.randn(69, 69, dtype=torch.float64, generator=generator(2)) / 69**0.5
    root = (factor + torch.eye(69, dtype=torch.float64)) / (1.0 + torch.arange(WAVES + 1.0)).view(-1, 1, 1)
    return GaussianBackgroundError(SpectralField(root, HARMONICS), torch.linspace(0.5, 2.0, 69).double())


def linear_vae(adapted):
    """A spectral VAE before it is trained; adapted: with the patterns of a day."""
    torch.manual_seed(1)
    vae = SpectralVAE(ErrorVariables(GRID, WAVES), small_network(), sigma=0.5).double()
    vae.harmonics = HARMONICS
    factors = torch.randn(WAVES + 1, 69, 69, dtype=torch.float64, generator=generator(1, "factors"))
    vae.fit_basis(factors @ factors.mT / 69)
    vae.eval().requires_grad_(False)
    if adapted:
        size = math.prod(vae.latent_shape)
        vae.prior = LowRankNormal(size, 2, vae.deviation)
        with torch.no_grad():
            vae.prior.up.copy_(0.5 * torch.randn(size, 2, generator=generator(5)))
        vae.prior.requires_grad_(False)
    residual = SpectralField(0.2 * torch.eye(69, dtype=torch.float64).expand(WAVES + 1, 69, 69), HARMONICS)
    return VAEBackgroundError(vae, residual, 1.0)


@pytest.fixture(scope="module")
def models():
    genbe = fit_genbe([states(60, 1)], GRID, WAVES)
    localised = LocalisedEnsemble(states(6, 2), GRID, WAVES, 2000.0, 1.0)
    return {
        "gaussian": gaussian(),
        "genbe": genbe,
        "hybrid": Hybrid(genbe, localised, 0.64),
        "vae": linear_vae(False),
        "adapted_vae": linear_vae(True),
    }


def column(model, observation):
    """B h of all points, (69, lat, lon), and h' B h, by the derivative of the observed value, of a linear model."""
    observe = ObservationOperator(observation.table(0), GRID, torch.float64)
    control = torch.zeros(model.control_size, dtype=torch.float64, requires_grad=True)
    sensitivity = torch.autograd.grad(observe(model.increment(control))[0], control)[0]
    scale = model.standard(torch.ones_like(sensitivity))  # it is linear, and diagonal in these models
    return model.increment(sensitivity / scale**2), (sensitivity / scale).square().sum()


def closed_form(model, observation, variance=1.0):
    """a B h (a h' B h + r^2)^-1 d."""
    spread, own = column(model, observation)
    return (variance * spread * observation.departure / (variance * own + ERROR**2)).numpy()


def responses(method, *wanted, background=BACKGROUND, files=None, minimiser=TIGHT):
    inputs = Inputs(files or {}, TIME, GRID)
    case = Case(background, GRID, GRID, observations(), minimiser, progress=quiet)
    return respond(method, inputs, case, [(observation, ERROR) for observation in wanted])


def close(found, expected):
    """Positions and errors in tables of observations have single precision: seven digits of 180 degrees."""
    return np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("text", ["z500@40N,20E+1.5", "t2m@33.3S,77.7W-2", "u260@5N,150E+0.25"])
def test_the_increment_is_the_column_of_b(models, name, text):
    observation = parse_single(text)
    [response] = responses(Given(models[name]), observation)
    assert close(response.increment, closed_form(models[name], observation))
    _, own = column(models[name], observation)
    at = (own * observation.departure / (own + ERROR**2)).item()
    assert response.at_observation == pytest.approx(at, rel=1e-5)
    assert 0 < response.at_observation / observation.departure < 1
    assert response.gradient_reduction < 1e-6
    assert (response.departure, response.error) == (observation.departure, ERROR)


@pytest.mark.parametrize("name", LINEAR)
def test_twice_the_departure_is_twice_the_increment(models, name):
    once, twice = responses(Given(models[name]), Z500, replace(Z500, departure=2 * Z500.departure))
    assert close(twice.increment, 2 * once.increment)


def test_without_a_departure_it_is_one_observation_error(models):
    [response] = responses(Given(models["gaussian"]), replace(Z500, departure=None))
    assert response.departure == ERROR
    assert close(response.increment, closed_form(models["gaussian"], replace(Z500, departure=ERROR)))


def test_a_weight_is_one_over_the_variance(models):
    [response] = responses(Given(models["genbe"], background_weight=2.0), Z500)
    assert close(response.increment, closed_form(models["genbe"], Z500, variance=0.5))


def test_the_amplitudes_of_the_cycle_before_are_used(models, tmp_path):
    """Four times the variance in all parts; and in one part alone, whose share of B h is its own."""
    model = models["genbe"]
    method = Given(model, background_weight="adaptive")
    files = {"amplitudes": tmp_path / "amplitudes.csv"}
    write_amplitudes(files["amplitudes"], {part: Amplitude(variance=4.0) for part in model.parts()})
    [response] = responses(method, Z500, files=files)
    assert close(response.increment, closed_form(model, Z500, variance=4.0))
    write_amplitudes(files["amplitudes"], {"psi": Amplitude(variance=4.0)})
    [response] = responses(method, Z500, files=files)
    spread, own = column(model, Z500)
    control = torch.zeros(model.control_size, dtype=torch.float64, requires_grad=True)
    observe = ObservationOperator(Z500.table(0), GRID, torch.float64)
    sensitivity = torch.autograd.grad(observe(model.increment(control))[0], control)[0]
    of_psi = torch.zeros_like(sensitivity)
    of_psi[model.parts()["psi"]] = sensitivity[model.parts()["psi"]]
    spread = spread + 3 * model.increment(of_psi)
    own = own + 3 * of_psi.square().sum()
    assert close(response.increment, (spread * Z500.departure / (own + ERROR**2)).numpy())
    assert not close(response.increment, closed_form(model, Z500)), "the case must show it"


def test_one_reading_of_the_background_error_serves_all_observations(models):
    class Counting(Given):
        read = 0

        def background_error(self, inputs):
            self.read += 1
            return self.model

    method = Counting(models["gaussian"])
    assert len(responses(method, Z500, parse_single("t850@0N,0E+1"), parse_single("msl@60S,0E+1"))) == 3
    assert method.read == 1


@pytest.mark.parametrize("row", range(2, GRID.nlat - 2, 3))
@pytest.mark.parametrize("channel", ["z500", "t850", "msl"])
def test_the_largest_increment_of_a_homogeneous_model_is_at_the_observation(models, row, channel):
    """A correlation that depends on the distance alone is largest at none."""
    latitude = GRID.latitude[row]
    text = f"{channel}@{abs(latitude):.9f}{'N' if latitude > 0 else 'S'},{GRID.longitude[5]:.9f}E+3"
    [response] = responses(Given(models["gaussian"]), parse_single(text))
    field = response.increment[channel_index(channel)]
    assert np.unravel_index(np.abs(field).argmax(), field.shape) == (row, 5)
    assert field[row, 5] > 0


def test_the_background_does_not_matter_and_one_error_model_gives_one_picture(models):
    method = Given(models["hybrid"])
    other = np.random.default_rng(1).normal(size=BACKGROUND.shape)
    runs = {"one": BACKGROUND, "other": other}
    found = {name: {TIME: responses(method, Z500, background=background)} for name, background in runs.items()}
    increments = Increments.of(GRID, [Z500], found)
    np.testing.assert_allclose(*increments.fields, rtol=0, atol=1e-5 * np.abs(increments.fields).max())
    table = table_of(increments).drop(columns=["experiment", "evaluations", "gradient_reduction"])
    for name, values in table.items():
        if name not in ("valid_time", "observation"):
            assert values[0] == pytest.approx(values[1], rel=1e-3)


# the filter


def letkf(horizontal=None, vertical=None):
    settings = {"horizontal_localisation": horizontal, "vertical_localisation": vertical, "relaxation": 0.5}
    return LETKF(settings | {"additive_error": 1.0, "inflation": 1.0})


@pytest.fixture
def ensemble(tmp_path):
    members = states(6, 4).numpy().astype(np.float32)
    write_ensemble(tmp_path / "ensemble.nc", members, TIME, GRID)
    return {"ensemble": tmp_path / "ensemble.nc"}, members


def test_the_filter_without_localisation_gives_the_column_of_the_sample_covariance(ensemble):
    files, members = ensemble
    background = members.mean(0)
    [once, twice] = responses(
        letkf(), Z500, replace(Z500, departure=2 * Z500.departure), background=background, files=files
    )
    perturbations = torch.from_numpy(members - background).double() / (len(members) - 1) ** 0.5
    observe = ObservationOperator(Z500.table(0), GRID, torch.float64)
    own = torch.stack([observe(each)[0] for each in perturbations])
    spread = torch.einsum("k,kclm->clm", own, perturbations)
    expected = (spread * Z500.departure / (own.square().sum() + ERROR**2)).numpy()
    # in single precision
    assert np.abs(once.increment - expected).max() < 1e-4 * np.abs(expected).max()
    assert np.abs(twice.increment - 2 * expected).max() < 2e-4 * np.abs(expected).max()
    assert math.isnan(once.gradient_reduction) and once.evaluations == 0


def test_the_filter_s_increment_is_zero_beyond_its_localisation(ensemble):
    files, members = ensemble
    horizontal = 1000.0
    vertical = 0.3
    support = 2 * math.sqrt(10 / 3)
    [response] = responses(letkf(horizontal, vertical), Z500, background=members.mean(0), files=files)
    away = distances(Z500, GRID) > support * horizontal
    above = np.abs(np.log(np.array(LEVELS)[np.array(LEVEL_OF_CHANNEL)] / 500.0)) > support * vertical
    assert away.any() and above.any() and not above.all()
    assert not response.increment[:, away].any()
    assert not response.increment[above].any()
    near = distances(Z500, GRID) < 0.9 * support * horizontal
    within = np.abs(np.log(np.array(LEVELS)[np.array(LEVEL_OF_CHANNEL)] / 500.0)) < 0.9 * support * vertical
    assert response.increment[np.ix_(within, *(range(size) for size in GRID.shape))][:, near].all()


def test_without_assimilation_there_is_no_increment():
    with pytest.raises(ValueError, match="no_assimilation uses no observations"):
        responses(NoAssimilation({}), Z500)


# what is said of increments in numbers

FINE = Grid("gaussian", 96, 192)


def bump(observation, length):
    """z = exp(-d^2 / 2 L^2) on all levels, with its geostrophic wind, d the angle; as (69, lat, lon)."""
    phi = np.radians(FINE.latitude)[:, None]
    lam = np.radians(FINE.longitude - observation.longitude)
    centre = np.radians(observation.latitude)
    cosine = np.sin(phi) * np.sin(centre) + np.cos(phi) * np.cos(centre) * np.cos(lam)
    # a function of the cosine of the angle is smooth at none and at the antipode
    z = np.exp((cosine - 1.0) / length**2)
    northward = z / length**2 * (np.cos(phi) * np.sin(centre) - np.sin(phi) * np.cos(centre) * np.cos(lam))
    eastward = -z / length**2 * np.cos(centre) * np.sin(lam)
    f = 2 * EARTH_ROTATION * np.sin(phi)
    field = np.zeros((69, *FINE.shape))
    for level in LEVELS:
        field[channel_index(f"z{level}")] = z
        field[channel_index(f"u{level}")] = -northward / EARTH_RADIUS / f
        field[channel_index(f"v{level}")] = eastward / EARTH_RADIUS / f
    return field


def row_of(fields, observation):
    """The table of increments at one time after the other."""
    times = [TIME.replace(day=1 + index) for index in range(len(fields))]
    made = {time: [Response(field, 1.0, 1.0, 1.0, 0.1, 5)] for time, field in zip(times, fields, strict=True)}
    return table_of(Increments.of(FINE, [observation], {"x": made}))


@pytest.mark.parametrize("text", ["z500@45N,30W", "z500@45S,0E", "z500@70N,170E"])
def test_the_half_width_of_a_bump_is_known(text):
    """1 - cos d = L^2 ln 2 along a meridian; along a parallel cos d = sin^2 + cos^2 cos(dlon)."""
    observation = parse_single(text)
    length = 0.15
    fall = length**2 * math.log(2)
    zonal, meridional = half_widths(torch.from_numpy(bump(observation, length)), observation, FINE)
    radius = EARTH_RADIUS / 1e3
    across = math.cos(math.radians(observation.latitude))
    # bilinear between points of 1.9 degrees: a hundredth
    assert meridional == pytest.approx(radius * math.acos(1 - fall), rel=0.02)
    assert zonal == pytest.approx(radius * across * math.acos(1 - fall / across**2), rel=0.02)


def test_a_field_that_never_falls_has_no_half_width():
    observation = parse_single("z500@45N,30W")
    assert all(map(math.isnan, half_widths(torch.ones(69, *FINE.shape, dtype=torch.float64), observation, FINE)))


@pytest.mark.parametrize("text", ["z500@45N,30W", "t850@45S,0E", "msl@60N,170E"])
def test_geostrophic_wind_has_the_ratio_one_and_half_of_it_a_half(text):
    observation = parse_single(text)
    field = bump(observation, 0.15)
    half = field.copy()
    half[[index for index in range(69) if not 4 <= index < 17]] *= 0.5
    ratios = row_of([field, half, -half], observation).geostrophic_ratio
    np.testing.assert_allclose(ratios, [1.0, 0.5, 0.5], rtol=1e-4)


def test_in_the_tropics_there_is_no_geostrophic_ratio():
    observation = parse_single("z500@5N,30W")
    assert row_of([np.ones((69, *FINE.shape))], observation).geostrophic_ratio.isna().all()


def test_the_opposite_hemisphere_is_that_of_the_antipode():
    for text in ("z500@45N,30W", "z500@0N,100E", "z500@90S,0E"):
        observation = parse_single(text)
        field = torch.from_numpy(np.where(distances(observation, FINE) < 0.5 * math.pi * 6371.0, 2.0, -1.0))
        assert opposite_hemisphere_ratio(field, observation, FINE) == pytest.approx(0.5)


def test_the_flow_dependence_is_the_correlation_with_the_first_day():
    observation = parse_single("z500@45N,30W")
    field = bump(observation, 0.15)
    elsewhere = np.roll(field, FINE.nlon // 2, axis=-1)
    found = row_of([field, 3 * field, -field, elsewhere], observation).correlation_with_first_time
    np.testing.assert_allclose(found[:3], [1.0, 1.0, -1.0], rtol=1e-6)
    assert abs(found[3]) < 0.1
