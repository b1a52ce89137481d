"""Serves the stand-in as the engine's plugin."""

from lab.standins.aws.provider import AwsProvider
from lab.standins.plugin import serve

serve(AwsProvider())
