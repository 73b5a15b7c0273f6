// Package compose holds what runs three hosts with Prometheus and Grafana in containers:
// compose.yaml, the Dockerfile of its images, and what they mount. There is no code; its tests
// hold the files to each other, to the command line and to what package deploy/monitoring
// writes, and run the images' recipe without a container engine.
package compose
