"""What all tests share: no time limit on an example, which would measure the machine's load."""

import hypothesis

hypothesis.settings.register_profile("ferry", deadline=None)
hypothesis.settings.load_profile("ferry")
