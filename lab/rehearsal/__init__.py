"""A whole stack on AWS, made and taken down again with nothing of Amazon's."""
