"""Speed of the product, each figure beside a ceiling of the same machine in the same run. See docs/performance.md."""
