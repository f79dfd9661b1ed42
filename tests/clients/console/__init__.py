"""The console and the pages of links in a real browser: Debian's Chromium, driven by Playwright."""
