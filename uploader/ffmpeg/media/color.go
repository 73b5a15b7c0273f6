package media

// hdHeight and hdWidth are where players begin to take an untagged picture for BT.709.
const (
	hdHeight = 720
	hdWidth  = 1280
)

// RGB says that a pixel format holds red, green and blue, or an index into them.
func (s Stream) RGB() bool {
	switch {
	case s.Color.Matrix == "gbr":
		return true
	case len(s.PixFmt) < 3:
		return false
	}
	switch s.PixFmt[:3] {
	case "rgb", "bgr", "gbr", "arg", "abg", "0rg", "0bg", "pal", "x2r", "x2b", "mon":
		return true
	}
	return false
}

// Gray says that a pixel format has no colours, and so no matrix.
func (s Stream) Gray() bool { return len(s.PixFmt) >= 4 && s.PixFmt[:4] == "gray" }

// Resolved fills what the source leaves open by what players assume of it, so that the
// result says what it is: another size would change what is assumed.
func (c Color) Resolved(s Stream) Color {
	matrix := "bt709"
	if s.Height < hdHeight && s.Width < hdWidth {
		matrix = "smpte170m"
		if s.Height == 576 || s.Height == 288 {
			matrix = "bt470bg"
		}
	}
	if c.Matrix == "" || c.Matrix == "gbr" {
		c.Matrix = matrix
		if c.Primaries == "bt2020" {
			c.Matrix = "bt2020nc"
		}
	}
	if c.Primaries == "" {
		c.Primaries = c.Matrix
		switch c.Matrix {
		case "bt2020nc", "bt2020c":
			c.Primaries = "bt2020"
		case "fcc":
			c.Primaries = "bt709"
		}
	}
	if c.Transfer == "" {
		c.Transfer = "bt709"
		if c.Matrix == "smpte170m" || c.Matrix == "bt470bg" {
			c.Transfer = "smpte170m"
		}
	}
	if c.Range == "" {
		c.Range = "tv"
		if len(s.PixFmt) > 4 && s.PixFmt[:4] == "yuvj" {
			c.Range = "pc"
		}
	}
	return c
}

// Converted is the colour of a converted picture: the source's own, so that nothing is
// computed that need not be; BT.709 for RGB and for what was HDR.
func (c Color) Converted(s Stream) Color {
	bt709 := Color{Range: "tv", Matrix: "bt709", Transfer: "bt709", Primaries: "bt709"}
	switch {
	case c.HDR() || s.RGB():
		if s.RGB() && c.Transfer != "" && !c.HDR() {
			bt709.Transfer = c.Transfer
		}
		return bt709
	case s.Gray():
		c.Matrix, c.Range = "", ""
	}
	return c.Resolved(s)
}

// scaleMatrix are FFmpeg's matrices by the scaler's names.
var scaleMatrix = map[string]string{
	"bt709": "bt709", "fcc": "fcc", "bt470bg": "bt470", "smpte170m": "smpte170m", "smpte240m": "smpte240m",
	"bt2020nc": "bt2020", "bt2020c": "bt2020",
}

// Scaler is the scaler's name of one of FFmpeg's matrices, "" where it has none.
func Scaler(matrix string) string { return scaleMatrix[matrix] }
