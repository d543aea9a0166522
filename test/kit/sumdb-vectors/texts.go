package main

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// treeTextVector has the size as text: it may be beyond what JavaScript counts.
type treeTextVector struct {
	Text []byte `json:"text"`
	OK   bool   `json:"ok"`
	Size string `json:"size"`
	Hash string `json:"hash"`
}

type lookupVector struct {
	Body []byte `json:"body"`
	OK   bool   `json:"ok"`
	ID   string `json:"id"`
	Text []byte `json:"text"`
	Rest []byte `json:"rest"`
}

type recordTextVector struct {
	Text      []byte `json:"text"`
	OK        bool   `json:"ok"`
	Formatted []byte `json:"formatted"`
}

// tilePathVector has the number as text: it may be beyond what JavaScript counts.
type tilePathVector struct {
	Path   string `json:"path"`
	OK     bool   `json:"ok"`
	Height int    `json:"height"`
	Level  int    `json:"level"`
	N      string `json:"n"`
	Width  int    `json:"width"`
}

const goodHash = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0="
const goodTree = "go.sum database tree\n123456789012\n" + goodHash + "\n"

func treeTextVectors() []treeTextVector {
	var out []treeTextVector
	sized := func(size string) string { return "go.sum database tree\n" + size + "\n" + goodHash + "\n" }
	hashed := func(hash string) string { return "go.sum database tree\n5\n" + hash + "\n" }
	for _, text := range []string{
		goodTree, goodTree + "JOE", goodTree + "JOE\n", goodTree + strings.Repeat("JOE\n", 20), goodTree + "\n\xff\x01",
		goodTree + "example.com/a v1.0.0 h1:" + goodHash + "\n",
		"not-" + goodTree, strings.TrimSuffix(goodTree, "\n"), strings.ToUpper(goodTree), "\n" + goodTree, " " + goodTree,
		"go.sum database tree v2\n5\n" + goodHash + "\n", "go.sum database tree\r\n5\r\n" + goodHash + "\r\n", "", "\n\n\n",
		"go.sum database tree\n", "go.sum database tree\n5\n", "go.sum database tree\n\n" + goodHash + "\n",
		sized("0"), sized("1"), sized("00"), sized("05"), sized("+5"), sized("-5"), sized("-0"), sized(" 5"), sized("5 "),
		sized("5.0"), sized("5e3"), sized("0x5"), sized("1_000"), sized("٣"), sized("4503599627370496"),
		sized("4503599627370497"), sized("9007199254740991"), sized("9007199254740992"), sized("9223372036854775807"),
		sized("9223372036854775808"), sized("18446744073709551617"), sized(strings.Repeat("9", 400)),
		hashed(""), hashed(goodHash + "A"), hashed(goodHash[:43]), hashed(goodHash[:40]), hashed(" " + goodHash),
		hashed(goodHash + " "), hashed("TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG="), hashed("TszzRgjTG6xce-z2AG31kAXYKBgQVtCSCE40HmuwBb0="),
		hashed(goodHash[:20] + "\r" + goodHash[20:]), hashed("TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb1="), hashed("===="),
		hashed("TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBQ=="),
	} {
		v := treeTextVector{Text: []byte(text)}
		if tree, err := tlog.ParseTree(v.Text); err == nil {
			v.OK, v.Size, v.Hash = true, fmt.Sprint(tree.N), tree.Hash.String()
		}
		out = append(out, v)
	}
	return out
}

func lookupVectors() []lookupVector {
	var out []lookupVector
	lines := "example.com/a v1.0.0 h1:" + goodHash + "\nexample.com/a v1.0.0/go.mod h1:" + goodHash + "\n"
	in := "123456789012\nhello, world\n\n"
	for _, body := range []string{
		in, in + "junk on end\x01\xff", "0\n" + lines + "\n" + goodTree + "\n— x aaaa\n", in + "\n", in + "\n\n", "7\n" + lines + "\n",
		"not-" + in, "123\nhello\x01world\n\n", "123\nhello\xffworld\n\n", "123\nhello world\n", "0x123\nhello world\n\n",
		"", "\n", "\n\n", "5", "5\n", "5\n\n", "5\n\n\n", "5\n\n\n\n", "5\n\nhello\n\n", "\nhello\n\n", " 5\nhello\n\n", "5 \nhello\n\n",
		"5\r\nhello\r\n\r\n", "5\nhello\r\n\n", "5\nhel\tlo\n\n", "5\nhel\x7flo\n\n", "5\nhel\u0085lo\n\n", "5\nh\u00e9llo\u2028\n\n", "5\nhel\x00lo\n\n",
		"5\nhel\xed\xa0\x80lo\n\n", "5\nhel\xef\xbf\xbdlo\n\n", "5\n\xef\xbb\xbfhello\n\n", "\xef\xbb\xbf5\nhello\n\n", "5\nhe\xc0\x80llo\n\n",
		"+5\nhello\n\n", "-5\nhello\n\n", "-0\nhello\n\n", "005\nhello\n\n", "1_0\nhello\n\n", "5.0\nhello\n\n", "--5\nhello\n\n", "+\nhello\n\n",
		"9007199254740991\nhello\n\n", "9007199254740992\nhello\n\n", "9223372036854775807\nhello\n\n", "9223372036854775808\nhello\n\n",
		"٣\nhello\n\n", "5\nhello\n \n\n", "<html>\n<body>\n\n",
	} {
		v := lookupVector{Body: []byte(body)}
		if id, text, rest, err := tlog.ParseRecord(v.Body); err == nil {
			v.OK, v.ID, v.Text, v.Rest = true, fmt.Sprint(id), text, rest
		}
		out = append(out, v)
	}
	return out
}

func recordTextVectors() []recordTextVector {
	var out []recordTextVector
	for _, text := range []string{
		"hello, world\n", "a\nb\n", "", "\n", "\n\n", "hello\nworld", "hello\n\nworld\n", "hello\n\n", "\nhello\n", "hello\x01world\n",
		"h\u00e9llo\n", "hel\xfflo\n", "hello\r\n", "hel\u007flo\n",
	} {
		v := recordTextVector{Text: []byte(text)}
		if formatted, err := tlog.FormatRecord(123456789012, v.Text); err == nil {
			v.OK, v.Formatted = true, formatted
		}
		out = append(out, v)
	}
	return out
}

func tilePathVectors() []tilePathVector {
	var out []tilePathVector
	for _, path := range []string{
		"tile/4/0/001", "tile/4/0/001.p/5", "tile/3/5/x123/x456/078", "tile/3/5/x123/x456/078.p/2", "tile/1/0/x003/x057/500",
		"tile/8/0/000", "tile/8/0/999", "tile/8/0/x001/000", "tile/8/0/x001/234", "tile/8/1/x001/x234/067.p/255", "tile/8/7/000.p/1",
		"tile/30/0/000.p/1073741823", "tile/30/1/000", "tile/8/63/000", "tile/1/52/000.p/1", "tile/8/0/x009/x007/x199/x254/x740/991",
		"tile/8/0/x009/x007/x199/x254/x740/992", "tile/8/0/x009/x223/x372/x036/x854/x775/807",
		"tile/8/0/x009/x223/x372/x036/x854/x775/808", "tile/8/0/x123/x456/x789/x123/x456/x789/x123/x456/789",
		"tile/3/5/123/456/078", "tile/3/-1/123/456/078", "tile/1/data/x003/x057/500", "tile/8/data/000.p/3", "", "tile", "tile/", "tile/8",
		"tile/8/0", "tile/8/0/", "/tile/8/0/000", "tile/8/0/000/", "tiles/8/0/000", "tile/0/0/000", "tile/31/0/000", "tile/08/0/000",
		"tile/+8/0/000", "tile/8/00/000", "tile/8/+0/000", "tile/8/-0/000", "tile/8/0/0", "tile/8/0/00", "tile/8/0/0000", "tile/8/0/x000",
		"tile/8/0/x000/001", "tile/8/0/001/x002", "tile/8/0/x001/02", "tile/8/0/xx01/002", "tile/8/0/x-01/002", "tile/8/0/-01",
		"tile/8/0/001.p/0", "tile/8/0/001.p/256", "tile/8/0/001.p/257", "tile/8/0/001.p/-1", "tile/8/0/001.p/05", "tile/8/0/001.p/+5",
		"tile/8/0/001.p/", "tile/8/0/001.p", "tile/8/0/001.p/5/6", "tile/8/0/.p/5", "tile/8/0/001.p.p/5", "tile/8/0/001.P/5",
		"tile/8/0/ 01", "tile/8/0/00a", "tile/8/0/../000", "tile/8//000", "tile/8/0//000", "tile/8/0/001\n", "tile/8/0/001?x", "tile/8/0/٠٠١",
		"tile/1/0/000.p/1", "tile/1/0/000.p/2", "tile/1/0/000", "tile/2/0/000.p/3", "tile/2/0/000.p/4", "tile/9/0/000.p/511",
	} {
		v := tilePathVector{Path: path}
		if tile, err := tlog.ParseTilePath(path); err == nil {
			v.OK, v.Height, v.Level, v.N, v.Width = true, tile.H, tile.L, fmt.Sprint(tile.N), tile.W
		}
		out = append(out, v)
	}
	return out
}
