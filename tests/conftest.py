"""What all tests share: no time limit on an example, which would measure the machine's load."""

import gc

import hypothesis

hypothesis.settings.register_profile("ferry", deadline=None)
hypothesis.settings.load_profile("ferry")
# SDKs and programs are a million objects that stay; looking through them is a fifth of the time.
gc.set_threshold(200_000, 20, 100)
