"""What `pulumi` runs."""

import gc

gc.disable()  # it would look through all that the SDKs define, over and over, and find nothing

from infra.program import main  # noqa: E402

main()
