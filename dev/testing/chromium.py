"""Chromium, as tests and proofs start it by Playwright."""

from __future__ import annotations

CHROMIUM = "/usr/bin/chromium"

PLAYWRIGHT_DISABLED_FEATURES = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
"""The features that Playwright disables. Chromium obeys the last `--disable-features` alone, which `FLAGS` has."""

ADDRESS_BAR_FEATURES = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup")
"""Two pages below the address bar. Loading them takes half of the processor time of a new window; no test sees them."""

FLAGS = ("--no-sandbox", f"--disable-features={','.join([*PLAYWRIGHT_DISABLED_FEATURES, *ADDRESS_BAR_FEATURES])}")
