"""Deploy strategies on a standing site: two versions side by side behind a router, and evidence of who served whom."""
