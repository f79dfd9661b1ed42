"""The flags with which tests start Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import playwright

from dev.testing.chromium import ADDRESS_BAR_FEATURES, FLAGS, PLAYWRIGHT_DISABLED_FEATURES


def test_flags_disable_what_playwright_disables() -> None:
    """Chromium obeys the last of several flags alone, so that ours holds the features of the installed Playwright."""
    bundle = Path(playwright.__file__).parent / "driver" / "package" / "lib" / "coreBundle.js"
    _, _, rest = bundle.read_text(encoding="utf-8").partition("    disabledFeatures = [\n")
    features = re.findall(r'^ +"(\w+)",?$', rest.partition("]")[0], re.MULTILINE)
    assert tuple(features) == PLAYWRIGHT_DISABLED_FEATURES
    assert f"--disable-features={','.join(PLAYWRIGHT_DISABLED_FEATURES + ADDRESS_BAR_FEATURES)}" in FLAGS
