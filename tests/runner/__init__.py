"""What bin/test does around pytest: an engine, the images, the tests on the host and those inside the image."""
