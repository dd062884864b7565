package port_test

import (
	"fmt"

	"github.com/portroom/portroom/port"
)

func ExampleParseRange() {
	r, err := port.ParseRange("32768\t60999\n")
	fmt.Println(r, r.Len(), err)
	// Output: 32768-60999 28232 <nil>
}

func ExampleSet_LenIn() {
	reserved, _ := port.ParseSet("8080,33000-33009")
	fmt.Println(reserved.LenIn(port.Range{First: 32768, Last: 60999}), "of", reserved.Len())
	// Output: 10 of 11
}
