package portmap

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

// palette is that of Okabe and Ito, which people with any of the common colour
// vision deficiencies can tell apart (jfly.uni-koeln.de/color), on grey for
// what is free. What is held is blue; the few ports that every pool lacks
// must stand out from thousands of those, though a port is four pixels wide.
var palette = [numUses]color.RGBA{
	pool.Free:        {0xe8, 0xe8, 0xe8, 0xff},
	pool.InTimeWait:  {0x56, 0xb4, 0xe9, 0xff}, // sky blue
	pool.Connected:   {0x00, 0x72, 0xb2, 0xff}, // blue
	pool.UseBound:    {0xe6, 0x9f, 0x00, 0xff}, // orange
	pool.UseListen:   {0xd5, 0x5e, 0x00, 0xff}, // vermilion
	pool.UseReserved: {0x00, 0x00, 0x00, 0xff},
}

var (
	ink   = image.NewUniform(color.RGBA{0x20, 0x20, 0x20, 0xff})
	faint = image.NewUniform(color.RGBA{0x60, 0x60, 0x60, 0xff})
)

// The fonts are bitmaps: outlines would have to be rendered in floating point,
// which need not give the same pixels on every architecture.
var (
	regular = inconsolata.Regular8x16
	bold    = inconsolata.Bold8x16
)

// Measures of the picture in pixels.
const (
	margin    = 28
	charWidth = 8
	mapWidth  = 1100 // at most
	mapHeight = 800  // while longer rows can still keep it

	captionsHeight = 58 // title and the line below
	rowLabels      = 6 * charWidth
	columnLabels   = 24
	numberedMin    = 48 // a square that its port number fits into

	legendGap    = 24
	legendHeight = 38
	swatch       = 14
)

// rowLengths are the numbers of ports in a row and how far apart the marks
// above the first one are: round numbers, because port numbers are read in
// decimal.
var rowLengths = []struct{ ports, mark int }{{10, 1}, {20, 5}, {50, 10}, {100, 10}, {150, 50}, {200, 50}, {250, 50}}

// grid is where the squares are.
type grid struct {
	size     int  // ports
	row      int  // ports of a row
	mark     int  // ports from one mark above the map to the next
	side     int  // pixels from one square to the next
	numbered bool // squares bear their port numbers and need no axes
	origin   image.Point
}

// newGrid makes the squares as large as they can be in a map of mapHeight.
func newGrid(size int) grid {
	var g grid
	for _, l := range rowLengths {
		g = grid{size: size, row: l.ports, mark: l.mark, side: mapWidth / l.ports}
		if g.height() <= mapHeight {
			break
		}
	}
	g.origin = image.Pt(margin, margin+captionsHeight)
	g.numbered = g.side >= numberedMin
	if !g.numbered {
		g.origin = g.origin.Add(image.Pt(rowLabels, columnLabels))
	}
	return g
}

func (g grid) height() int { return (g.size + g.row - 1) / g.row * g.side }

// square returns the square of the i-th port.
func (g grid) square(i int) image.Rectangle {
	gap := 1 + g.side/16
	return image.Rect(0, 0, g.side-gap, g.side-gap).
		Add(image.Pt(i%g.row, i/g.row).Mul(g.side)).Add(g.origin)
}

func (g grid) legendTop() int { return g.origin.Y + g.height() + legendGap }

// bounds returns those of the whole picture.
func (g grid) bounds() image.Rectangle {
	return image.Rect(0, 0, g.origin.X+g.row*g.side+margin, g.legendTop()+legendHeight+margin)
}

// PNG draws the ports of r as a picture, one square for each port, with title
// above and a legend with counts below. The picture is about 1150 pixels wide
// and, for the longest range, a little higher. The same map gives the
// same pixels everywhere.
//
// Characters of title that the font lacks (it has those of Latin-1 and few
// more) become question marks, and a title that is too long is cut.
//
// It is an error if r.First is above r.Last.
func PNG(w io.Writer, m *pool.Map, r port.Range, title string) error {
	if err := check(r); err != nil {
		return err
	}
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	return enc.Encode(w, paint(m, r, title))
}

func paint(m *pool.Map, r port.Range, title string) *image.RGBA {
	g := newGrid(r.Len())
	p := picture{image.NewRGBA(g.bounds())}
	p.fill(p.Bounds(), image.White)
	p.text(bold, ink, margin, margin+14, cut(title, (p.Bounds().Dx()-2*margin)/charWidth))
	p.text(regular, faint, margin, margin+38, caption(r, g))
	if !g.numbered {
		p.axes(r, g)
	}
	p.squares(m, r, g)
	p.legend(g, count(m, int(r.First), g.size))
	return p.RGBA
}

func caption(r port.Range, g grid) string {
	if g.size == 1 {
		return fmt.Sprintf("port %d", r.First)
	}
	s := fmt.Sprintf("%s ports, %d-%d, a square each", thousands(g.size), r.First, r.Last)
	if g.size > g.row {
		s += fmt.Sprintf(", %d to a row", g.row)
	}
	return s
}

// cut makes s one line of at most n characters of the font.
func cut(s string, n int) string {
	line := []rune(strings.Map(func(c rune) rune {
		_, known := bold.GlyphAdvance(c)
		switch {
		case unicode.IsSpace(c), unicode.IsControl(c):
			return ' '
		case unicode.Is(unicode.Pd, c): // dashes
			return '-'
		case !known:
			return '?'
		}
		return c
	}, s))
	if len(line) > n {
		return string(line[:n-3]) + "..."
	}
	return string(line)
}

// picture is an image with a pen.
type picture struct{ *image.RGBA }

// text writes s in one line whose base begins at x, y.
func (p picture) text(f *basicfont.Face, src image.Image, x, y int, s string) {
	d := font.Drawer{Dst: p, Src: src, Face: f, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

func (p picture) fill(r image.Rectangle, src image.Image) {
	draw.Draw(p, r, src, image.Point{}, draw.Src)
}

// axes writes the first port of rows on the left, as many as there is room
// for, and distances from it above.
func (p picture) axes(r port.Range, g grid) {
	every := 1
	for _, every = range []int{1, 2, 5} {
		if every*g.side >= 20 {
			break
		}
	}
	for i := 0; i*g.row < g.size; i += every {
		sq := g.square(i * g.row)
		middle := (sq.Min.Y + sq.Max.Y) / 2
		s := strconv.Itoa(int(r.First) + i*g.row)
		p.text(regular, ink, sq.Min.X-8-len(s)*charWidth, middle+5, s)
		p.fill(image.Rect(sq.Min.X-6, middle, sq.Min.X-2, middle+1), faint)
	}
	for i := 0; i < min(g.row, g.size); i += g.mark {
		sq := g.square(i)
		middle := (sq.Min.X + sq.Max.X) / 2
		p.text(regular, faint, sq.Min.X, sq.Min.Y-12, "+"+strconv.Itoa(i))
		p.fill(image.Rect(middle, sq.Min.Y-6, middle+1, sq.Min.Y-2), faint)
	}
}

func (p picture) squares(m *pool.Map, r port.Range, g grid) {
	var colours [numUses]image.Image
	for u, c := range palette {
		colours[u] = image.NewUniform(c)
	}
	for i := range g.size {
		n := int(r.First) + i
		sq := g.square(i)
		p.fill(sq, colours[m[n]])
		if g.numbered {
			s := strconv.Itoa(n)
			x := (sq.Min.X + sq.Max.X - len(s)*charWidth) / 2
			p.text(regular, readableOn(palette[m[n]]), x, (sq.Min.Y+sq.Max.Y)/2+5, s)
		}
	}
}

// readableOn returns black or white, whichever stands out more from c.
func readableOn(c color.RGBA) image.Image {
	if color.GrayModel.Convert(c).(color.Gray).Y < 0x80 {
		return image.White
	}
	return image.Black
}

// legend is one line of all uses with their counts.
func (p picture) legend(g grid, t tally) {
	for u, n := range t {
		sw := g.swatch(pool.Use(u))
		p.fill(sw, image.NewUniform(palette[u]))
		x := sw.Max.X + charWidth
		p.text(bold, ink, x, sw.Min.Y+12, names[u])
		p.text(regular, ink, x, sw.Min.Y+34, thousands(n)+"  "+share(n, g.size))
	}
}

// swatch returns the square that stands for u in the legend.
func (g grid) swatch(u pool.Use) image.Rectangle {
	column := (g.bounds().Dx() - margin) / numUses
	return image.Rect(0, 0, swatch, swatch).Add(image.Pt(margin+int(u)*column, g.legendTop()))
}
