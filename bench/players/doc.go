// Package players has what benchmarks do as people do: uploads by the command line, playbacks
// with connections of their own and no certificate, clips that ffmpeg makes.
package players
