"""Where an alert goes: Alertmanager's configuration, which names files, not their contents."""

from dataclasses import dataclass
from typing import Any

PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
NOBODY = "null"
"""The receiver of a stack that names none: alerts are seen at Alertmanager's address alone."""

# Of the receivers that a stack names, the first one gets the alert, and no other.
_ORDER = {
    "critical": ("pagerduty", "slack", "email"),
    "warning": ("slack", "email", "pagerduty"),
    "info": ("email", "slack", "pagerduty"),
}
# What nobody gave a severity is read in working hours, but it is read.
_OTHERWISE = "warning"
# Where the operator mounts a Secret that an Alertmanager names.
_MOUNTED = "/etc/alertmanager/secrets"
_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class Email:
    """`secret` is the name of a Secret whose key `password` opens `server` for `username`."""

    server: str
    """`host:port`; STARTTLS is asked for, except on port 465, which is TLS from the start."""
    sender: str
    to: str
    username: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Names of Secrets: Slack's holds `url`, PagerDuty's the routing key as `key`."""

    slack: str | None = None
    pagerduty: str | None = None
    email: Email | None = None

    @property
    def secrets(self) -> list[str]:
        """Those that Alertmanager mounts."""
        named = (self.slack, self.pagerduty, self.email.secret if self.email else None)
        return sorted({name for name in named if name})

    @property
    def ports(self) -> list[int]:
        """Where Alertmanager connects to, outside of the stack."""
        web = {_HTTPS} if self.slack or self.pagerduty else set()
        mail = {int(self.email.server.rpartition(":")[2])} if self.email else set()
        return sorted(web | mail)


def configuration(receivers: Receivers) -> dict[str, Any]:
    """One receiver for every alert, by its severity."""
    made = _made(receivers)
    chosen = {severity: _first(order, made) for severity, order in _ORDER.items()}
    return {
        "global": {"resolve_timeout": "5m", "pagerduty_url": PAGERDUTY},
        "route": {
            "receiver": chosen[_OTHERWISE],
            "group_by": ["alertname", "environment", "namespace", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "receiver": receiver,
                    "matchers": [f'severity="{severity}"'],
                    **({"repeat_interval": "1h"} if severity == "critical" else {}),
                }
                for severity, receiver in chosen.items()
            ],
        },
        "inhibit_rules": _INHIBITIONS,
        "receivers": [{"name": name, **settings} for name, settings in made.items()]
        or [{"name": NOBODY}],
    }


_INHIBITIONS = [
    {
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity=~"warning|info"'],
        "equal": ["alertname", "environment", "namespace", "model", "instance"],
    },
    # A budget that burns fast also burns slowly.
    {
        "source_matchers": ['alertname=~"ErrorBudgetBurn.*"', 'severity="critical"'],
        "target_matchers": ['alertname=~"ErrorBudgetBurn.*"', 'severity="warning"'],
        "equal": ["environment", "model"],
    },
]


def _first(order: tuple[str, ...], made: dict[str, Any]) -> str:
    return next((name for name in order if name in made), NOBODY)


def _made(receivers: Receivers) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if receivers.slack:
        made["slack"] = {
            "slack_configs": [
                {
                    "api_url_file": f"{_MOUNTED}/{receivers.slack}/url",
                    "send_resolved": True,
                    "title": _TITLE,
                    "text": _TEXT,
                }
            ]
        }
    if receivers.pagerduty:
        made["pagerduty"] = {
            "pagerduty_configs": [
                {
                    "routing_key_file": f"{_MOUNTED}/{receivers.pagerduty}/key",
                    "send_resolved": True,
                    "description": _TITLE,
                    "severity": '{{ or .CommonLabels.severity "error" }}',
                }
            ]
        }
    if receivers.email:
        made["email"] = {
            "email_configs": [
                {
                    "smarthost": receivers.email.server,
                    "from": receivers.email.sender,
                    "to": receivers.email.to,
                    "auth_username": receivers.email.username,
                    "auth_password_file": f"{_MOUNTED}/{receivers.email.secret}/password",
                    "require_tls": not receivers.email.server.endswith(":465"),
                    "send_resolved": True,
                    "headers": {"Subject": _TITLE},
                }
            ]
        }
    return made


_TITLE = (
    "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }}"
    " {{ .CommonLabels.environment }}{{ with .CommonLabels.model }} {{ . }}{{ end }}"
)
_TEXT = (
    "{{ range .Alerts }}{{ .Annotations.summary }}"
    "{{ with .Annotations.runbook_url }} {{ . }}{{ end }}\n{{ end }}"
)
