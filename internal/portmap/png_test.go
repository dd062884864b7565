package portmap

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/pool"
	"github.com/portroom/portroom/port"
)

func TestPNGSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    port.Range
		want image.Point
	}{
		{"one port", port.Range{First: 7, Last: 7}, image.Pt(1156, 286)},
		{"three ports", port.Range{First: 50000, Last: 50002}, image.Pt(1156, 286)},
		{"ten ports", tightRange, image.Pt(1156, 286)},
		{"301 ports", oddRange, image.Pt(1204, 354)},
		{"default of Linux", linuxRange, image.Pt(1104, 910)},
		{"default of Windows and macOS", port.Range{First: 49152, Last: 65535}, image.Pt(1154, 970)},
		{"all unprivileged ports", wholeRange, image.Pt(1104, 1236)},
		{"all ports", port.Range{Last: 65535}, image.Pt(1104, 1252)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, picturePNG(t, new(pool.Map), tt.r, "")).Bounds(); got.Max != tt.want || got.Min != (image.Point{}) {
				t.Errorf("bounds %v, want 0,0 to %v", got, tt.want)
			}
		})
	}
}

// Every port has its square, of its use's colour and of that alone but for
// the number; squares do not overlap and are in the picture.
func TestPNGSquares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, r := drawMap(t)
		pic := paint(m, r, rapid.String().Draw(t, "title"))
		g := newGrid(r.Len())
		area := pic.Bounds().Inset(margin)
		area.Max.Y = g.legendTop()
		for range 200 {
			i := rapid.IntRange(0, g.size-1).Draw(t, "port")
			n, sq := int(r.First)+i, g.square(i)
			for _, at := range []image.Point{sq.Min, sq.Max.Sub(image.Pt(1, 1))} {
				if got, want := pic.RGBAAt(at.X, at.Y), palette[m[n]]; got != want {
					t.Fatalf("port %d, %s: pixel %v is %v, want %v", n, names[m[n]], at, got, want)
				}
			}
			if sq.Empty() || !sq.In(area) {
				t.Fatalf("square %v of port %d is not in %v", sq, n, area)
			}
			if i > 0 && g.square(i-1).Overlaps(sq) {
				t.Fatalf("squares of ports %d and %d overlap", n-1, n)
			}
		}
	})
}

func TestPNGLegendHasThePalette(t *testing.T) {
	pic := decode(t, picturePNG(t, tightMap(), tightRange, "tight"))
	g := newGrid(tightRange.Len())
	for u, want := range palette {
		at := g.swatch(pool.Use(u)).Min
		if got := pic.At(at.X, at.Y); got != want {
			t.Errorf("swatch of %s is %v, want %v", names[u], got, want)
		}
	}
}

func TestPNGIsDeterministic(t *testing.T) {
	if a, b := picturePNG(t, busyMap(), linuxRange, "a"), picturePNG(t, busyMap(), linuxRange, "a"); !bytes.Equal(a, b) {
		t.Error("two pictures of one map differ")
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"what fits stays", "tcp, büro-3", "tcp, büro-3"},
		{"what does not is cut", "0123456789abc", "01234567..."},
		{"two lines become one", "a\nb", "a b"},
		{"dashes become hyphens", "a – b — c", "a - b - c"},
		{"what the font lacks is not silently dropped", "港-1", "?-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cut(tt.in, 11); got != tt.want {
				t.Errorf("cut(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestPNGRefusesAnEmptyRange(t *testing.T) {
	if err := PNG(new(bytes.Buffer), new(pool.Map), port.Range{First: 2, Last: 1}, ""); err == nil {
		t.Error("PNG drew range 2-1")
	}
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func picturePNG(t fataler, m *pool.Map, r port.Range, title string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := PNG(&out, m, r, title); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(t fataler, b []byte) image.Image {
	t.Helper()
	pic, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return pic
}
