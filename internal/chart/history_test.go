package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"strings"
	"testing"
	"time"
)

// aCurve fills up, is full for a while, and has a gap.
func aCurve(name string, scale int) Curve {
	c := Curve{Name: name}
	for i := range 240 {
		held := min(i*scale, 28232)
		p := Point{Time: time.Date(2026, 11, 23, 3, 0, 10*i, 0, time.UTC), Known: i < 150 || i > 200, Held: held, TimeWait: held / 2, Capacity: 28232}
		if held == 28232 && p.Known {
			p.Refused = 7
		}
		c.Points = append(c.Points, p)
	}
	return c
}

func TestAHistoryShowsEveryPoolAndWhatWasRefused(t *testing.T) {
	for name, curves := range map[string][]Curve{
		"one pool":      {aCurve("10.0.0.1 → 10.0.0.5:443", 300)},
		"several pools": {aCurve("a", 300), aCurve("b", 150), aCurve("c", 20)},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := History(&b, PNG, "a night", curves); err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			top := picture.Bounds().Dy() - heldHeight - refusedHeight
			for i := range 3 { // lines of the upper panel: in TIME_WAIT, capacity and held, or three pools
				c := theme.GetSeriesColor(i)
				want := color.RGBA{c.R, c.G, c.B, 0xff}
				n, gap := 0, 0
				for x := range width {
					hit := false
					for y := top; y < top+heldHeight; y++ {
						hit = hit || near(picture.At(x, y), want)
					}
					if hit {
						n++
					} else if x > width*2/3 && x < width*4/5 {
						gap++
					}
				}
				if n < 200 || gap < 100 {
					t.Errorf("line %d: %d columns drawn, %d left out where nothing is known", i, n, gap)
				}
			}
			c := theme.GetSeriesColor(0)
			n := 0
			for x := range width {
				for y := top + heldHeight; y < picture.Bounds().Dy(); y++ {
					if near(picture.At(x, y), color.RGBA{c.R, c.G, c.B, 0xff}) {
						n++
						break
					}
				}
			}
			if n < 300 {
				t.Errorf("refusals are drawn in %d columns", n)
			}
		})
	}
}

func TestAHistoryAsSVGIsWellFormed(t *testing.T) {
	var b bytes.Buffer
	if err := History(&b, SVG, `<night> & "day"`, []Curve{aCurve("in <script>alert(1)</script>", 300), aCurve("b", 10)}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<script") {
		t.Error("a name is taken for markup")
	}
	text := ""
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			text += string(c) + "\n"
		}
	}
	for _, want := range []string{`<night> & "day"`, "<script>", "connects refused in each 10 s", "03:20"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture has no %q", want)
		}
	}
	if err := History(io.Discard, SVG, "x", nil); err == nil {
		t.Error("nothing was drawn")
	}
}

func TestTheClockUnderACurveIsAsLongAsNeeded(t *testing.T) {
	for span, want := range map[time.Duration]string{time.Minute: "03:00:00", 5 * time.Hour: "03:00", 50 * time.Hour: "11-23 03:00"} {
		start := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
		if got := clockLabels([]Point{{Time: start}, {Time: start.Add(span)}})[0]; got != want {
			t.Errorf("%v: %q, want %q", span, got, want)
		}
	}
}
