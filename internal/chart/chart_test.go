package chart

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portroom/portroom/model"
)

func play(t testing.TB, rate float64, systems ...string) (runs []Run) {
	t.Helper()
	for _, name := range systems {
		p, err := model.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := p.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := model.Simulate(context.Background(), model.Run{Pool: pool, Arrivals: model.Even(model.Steady(rate)),
			Sources: 1, Destinations: 1, Duration: 10 * time.Minute, Samples: 600})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, Run{name, res.Samples})
	}
	return runs
}

// Each system's line is in each of the four panels.
func TestEveryRunHasALineInEveryPanel(t *testing.T) {
	// Apart from each other everywhere, so that no line hides another.
	runs := play(t, 600, "linux", "windows-2000", "macos", "freebsd")
	var b bytes.Buffer
	if err := Draw(&b, PNG, "600/s", runs); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	size := picture.Bounds()
	if size.Dx() != width || size.Dy() != body+titleHeight+rowHeight {
		t.Fatalf("%d × %d pixels", size.Dx(), size.Dy())
	}
	for i, r := range runs {
		c := theme.GetSeriesColor(i)
		want := color.RGBA{c.R, c.G, c.B, 0xff}
		for part := range panels {
			n := 0
			for x := part % 2 * width / 2; x < (part%2+1)*width/2; x++ {
				top := titleHeight + rowHeight
				for y := top + part/2*body/2; y < top+(part/2+1)*body/2; y++ {
					if near(picture.At(x, y), want) {
						n++
					}
				}
			}
			if n < 20 {
				t.Errorf("%s has %d pixels in the panel %q", r.Name, n, panels[part].title)
			}
		}
	}
}

// near allows for a line's soft edges.
func near(c color.Color, want color.RGBA) bool {
	got := color.RGBAModel.Convert(c).(color.RGBA)
	off := func(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }
	return off(got.R, want.R) < 55 && off(got.G, want.G) < 55 && off(got.B, want.B) < 55
}

func TestAnSVGIsWellFormedAndNamesEveryRun(t *testing.T) {
	runs := play(t, 600, "linux", "windows-2000")
	runs[0].Name = `a "name" <with> & signs`
	runs[1].Name = strings.Repeat("long ", 40)
	var b bytes.Buffer
	if err := Draw(&b, SVG, "600/s", runs); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 200<<10 {
		t.Errorf("%d bytes", b.Len())
	}
	text := ""
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			text += string(c) + "\n"
		}
	}
	for _, want := range []string{runs[0].Name, "long long", "…", "600/s", "ports held", "10 min"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture has no %q", want)
		}
	}
}

func TestARunThatWasInterruptedIsDrawn(t *testing.T) {
	runs := play(t, 600, "linux", "macos")
	runs[1].Samples = runs[1].Samples[:17]
	if err := Draw(io.Discard, PNG, "x", runs); err != nil {
		t.Error(err)
	}
	if err := Draw(io.Discard, PNG, "x", nil); err == nil {
		t.Error("nothing was drawn")
	}
}

// An axis ends at or above what it holds, not far above, and its labels are round.
func TestAScaleHoldsItsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		top := math.Exp(rapid.Float64Range(-5, 20).Draw(t, "log"))
		limit, labels := scale(top)
		if limit < top*(1-1e-12) || limit > 1.7*top {
			t.Fatalf("%g on an axis up to %g", top, limit)
		}
		step := limit / float64(labels-1)
		digits := step / math.Pow(10, math.Floor(math.Log10(step))-1)
		if math.Abs(digits-math.Round(digits)) > 1e-6 {
			t.Fatalf("an axis up to %g in steps of %g", limit, step)
		}
	})
}

func TestTimesOnAnAxisAreThoseOfAClock(t *testing.T) {
	for last, want := range map[float64]string{60: "0 10 s 20 s 30 s 40 s 50 s 60 s", 600: "0 2 min 4 min 6 min 8 min 10 min", 86400: "0 4 h 8 h 12 h 16 h 20 h 24 h", 300: "0 50 s 100 s 150 s 200 s 250 s 300 s"} {
		var samples []model.Sample
		for i := range 600 {
			samples = append(samples, model.Sample{At: last * float64(i+1) / 600})
		}
		labels, n := timeLabels(samples)
		var shown []string
		for i := range n {
			shown = append(shown, labels[i*600/(n-1)])
		}
		if got := strings.Join(shown, " "); !strings.HasPrefix(got, want) {
			t.Errorf("%g s: %s, want %s", last, got, want)
		}
	}
	if got := fmt.Sprintf("%s %s %s %s", short(1234567), short(28232), short(60), short(0.5)); got != "1.23M 28.2k 60 0.5" {
		t.Error(got)
	}
}
