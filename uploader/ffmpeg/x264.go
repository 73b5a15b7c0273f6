package ffmpeg

import "golang.org/x/sys/cpu"

// x264Params keeps x264 from its AVX-512 code on processors that have it; the list is what
// it then finds on each of them. The AVX-512 macroblock tree (as of x264's core 165) works
// on eight macroblocks at a time and lets those beyond the end of a row count, too, whose
// costs may be whatever an earlier frame left in that memory. Where the width in macroblocks
// is no multiple of eight (480p is such a one), the bytes depend on the heap and on how
// threads were scheduled. It also rounds differently, so that hosts with and without
// AVX-512 would cut one file into different chunks (docs/adr/0010-x264-without-avx-512.md).
func x264Params() []string {
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX2 {
		return nil
	}
	return []string{"-x264-params", "asm=MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2"}
}
