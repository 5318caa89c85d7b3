"""From a configuration as it was read to a plan that can be run, or one line that says why not."""

from typing import Any

from .analysis_spread import check_analysis_spread
from .belonging import refuse_another
from .completion import ConfigurationError, with_found_settings, with_single_vae, without_dropped
from .configuration import check
from .models import with_trained_models
from .plan import Plan
from .replicates import expand, with_networks
from .schema import check_schema, check_settings
from .single import check_single_observations
from .study import check_study


def prepare(config: dict[str, Any]) -> Plan:
    """Check a configuration, complete it in place, and give its plan.

    Raises
    ------
    ConfigurationError
        If it cannot be run.
    OtherExperimentError
        If the results in this folder are of another experiment.
    """
    try:
        without_dropped(config)
        check_schema(config)
        with_found_settings(config)
        with_trained_models(config)
        with_single_vae(config)
        with_networks(config)
        expand(config)
        check(config)
        check_settings(config)
        check_study(config)
        check_single_observations(config)
        check_analysis_spread(config)
    except ConfigurationError as error:
        raise ConfigurationError(f"the configuration cannot be run. {error}") from None
    refuse_another(config)
    return Plan(config)
