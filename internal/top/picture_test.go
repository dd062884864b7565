package top

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

var update = flag.Bool("update", false, "draw docs/top.svg and docs/top-pool.svg anew")

// The pictures of the documents are what the program draws of an example.
func TestThePicturesAreWhatIsDrawn(t *testing.T) {
	for name, keys := range map[string][]string{"top.svg": nil, "top-pool.svg": {"enter"}} {
		u := newUser(t, 100, 13, Options{Color: true})
		if keys != nil {
			u.Update(tea.WindowSizeMsg{Width: 150, Height: 40})
		}
		s := shop()
		s.Detail = look()
		u.Update(s)
		u.keys(keys...)
		got := svg(u.Screen(), u.width, u.height)
		path := "../../docs/" + name
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what is drawn: go test ./internal/top -update", path)
		}
		if err := xml.Unmarshal(got, new(any)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// palette is what colours of a terminal look like in the pictures.
var palette = map[string]string{"31": "#ff6b68", "32": "#4fb866", "33": "#e5b95c", "35": "#c586c0", "36": "#4fb3bf"}

// svg draws a screen: text of a fixed width, in the few colours and styles that it uses.
func svg(screen string, columns, rows int) []byte {
	const cell, line, margin = 8.4, 18, 12
	var b bytes.Buffer
	w, h := float64(columns)*cell+2*margin, rows*line+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%d" rx="8" fill="#1c1e22"/>`+"\n", w, h)
	for y, text := range strings.Split(screen, "\n") {
		base := margin + y*line + 14
		column := 0
		for i, part := range strings.Split(text, "\x1b[") {
			style := ""
			if i > 0 {
				style, part, _ = strings.Cut(part, "m")
			}
			n := width(part)
			x, wide := margin+float64(column)*cell, float64(n)*cell
			column += n
			if strings.TrimSpace(part) == "" && style != inverse {
				continue
			}
			fill, extra := "#d6d9de", ""
			for code := range strings.SplitSeq(style, ";") {
				switch {
				case code == bold:
					extra += ` font-weight="bold"`
				case code == faint:
					extra += ` opacity="0.55"`
				case code == inverse:
					fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, base-14, wide, line, fill)
					fill = "#1c1e22"
				case palette[code] != "":
					fill = palette[code]
				}
			}
			var escaped bytes.Buffer
			_ = xml.EscapeText(&escaped, []byte(part)) // to memory
			fmt.Fprintf(&b, `<text x="%s" y="%d" textLength="%s" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="%s"%s>%s</text>`+"\n",
				short(x), base, short(wide), fill, extra, escaped.Bytes())
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func short(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
