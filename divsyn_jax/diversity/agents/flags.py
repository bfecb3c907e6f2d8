"""The flags every command that puts draws to an agent shares."""

from typing import Any

from divsyn_jax.base import setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.agents.kinds import AGENTS, AgentKind, agents_with
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint import flags as endpoint_flags

AGENT_SETTINGS = ("agent", "threshold", "embedding_model")
_AGENT = setting_flags.define(
    ScoreSettings, {"agent": AGENT_SETTINGS}, without=setting_flags.THE_REST
)
_JUDGE = setting_flags.define(JudgeSettings, "agent", without=("weak_models",))
setting_flags.adopt(endpoint_flags)


def asked() -> AgentKind:
    """The agent asked for."""
    return AGENTS[_AGENT.value("agent")]


def agent_settings(seed: int, asks_endpoint: bool = False) -> dict[str, Any]:
    """The fields of `ScoreSettings` that say who judges.

    `asks_endpoint`: whether an endpoint is asked for something else than the agent. Raises
    `UserError` naming a bad flag."""
    agent = asked()
    for_endpoints = {
        "base_url": endpoint_flags.ENDPOINT.value("base_url"),
        "model": endpoint_flags.ENDPOINT.value("model"),
        "criteria": _JUDGE.value("criteria_file"),
    }
    for name, value in for_endpoints.items():
        wanted = agent.asks_endpoint or (asks_endpoint and name != "criteria")
        if not wanted and value is not None:
            raise UserError(
                f"--{name} is for {agents_with('asks_endpoint')}, not --agent={agent.name}: add"
                " that, or leave it out"
            )
    asked_for = agent.asks_endpoint or asks_endpoint
    endpoint = endpoint_flags.settings(seed) if asked_for else None
    return {**_AGENT.values(), "endpoint": endpoint, "judge": _JUDGE.given()}
