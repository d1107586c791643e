// What an application on go-sql-driver does, printed. Run against a server and against Landbridge, the
// output must be the same: go run main.go HOST PORT USER PASSWORD on|off
package main

import (
	"context"
	"crypto/md5"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

var big = map[string]int{"off": 20_000_000, "on": 200_000}[os.Args[5]]

func open(more string) *sql.DB {
	tls := map[string]string{"on": "skip-verify", "off": "false"}[os.Args[5]]
	dsn := fmt.Sprintf("%s:%s@tcp(%s:%s)/app?tls=%s&charset=utf8mb4&maxAllowedPacket=0%s", os.Args[3], os.Args[4], os.Args[1], os.Args[2], tls, more)
	db, err := sql.Open("mysql", dsn)
	check(err)
	return db
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func show(what string, values ...interface{}) {
	fmt.Print(what, ":")
	for _, value := range values {
		if bytes, ok := value.([]byte); ok && len(bytes) > 200 {
			value = fmt.Sprintf("%d bytes %x", len(bytes), md5.Sum(bytes))
		}
		fmt.Printf(" %T(%q)", value, fmt.Sprint(value))
	}
	fmt.Println()
}

func done(what string, result sql.Result, err error) {
	if err != nil {
		mine, _ := err.(*mysql.MySQLError)
		show(what+" failed", mine != nil, err)
		return
	}
	id, _ := result.LastInsertId()
	count, _ := result.RowsAffected()
	show(what, id, count)
}

// Every result of a query, with its columns.
func results(rows *sql.Rows, err error) {
	if err != nil {
		show("query failed", err)
		return
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		types, err := rows.ColumnTypes()
		check(err)
		for _, t := range types {
			precision, scale, decimal := t.DecimalSize()
			nullable, known := t.Nullable()
			show("column", t.Name(), t.DatabaseTypeName(), t.ScanType(), precision, scale, decimal, nullable, known)
		}
		for rows.Next() {
			row := make([]interface{}, len(types))
			pointers := make([]interface{}, len(types))
			for i := range row {
				pointers[i] = &row[i]
			}
			check(rows.Scan(pointers...))
			show("row", row...)
		}
	}
	if rows.Err() != nil {
		show("rows failed", rows.Err())
	}
}

func crud(db *sql.DB, base int) {
	for _, n := range []int{1, 2, 3, 99} {
		results(db.Query("SELECT * FROM types_t WHERE n = ? OR s = ?", n, "nobody"))
	}
	insert := func(n int, row ...interface{}) {
		result, err := db.Exec("INSERT INTO types_t (n, s, b, dt, price, g, ubig) VALUES (?, ?, ?, ?, ?, ?, ?)", append([]interface{}{base + n}, row...)...)
		done("insert", result, err)
	}
	insert(0, "h\u00e9 \U0001f600", []byte("\x00\xff'"), time.Date(2026, 2, 28, 23, 59, 59, 125000000, time.UTC), "1.50", 0.1, uint64(1<<63-1))
	insert(1, nil, nil, nil, nil, nil, nil)
	insert(1, nil, nil, nil, nil, nil, nil)
	_, err := db.Exec("UPDATE types_t SET b = ? WHERE n = ?", []byte(strings.Repeat("ab", big/2)), base)
	check(err)
	var b, x []byte
	check(db.QueryRow("SELECT b, REPEAT('x', ?) FROM types_t WHERE n = ?", big, base).Scan(&b, &x))
	show("big row", b, x)
	for _, query := range []string{"SELECT * FROM nowhere", "SELEC", "INSERT INTO types_t (n) VALUES ('x')"} {
		result, err := db.Exec(query)
		done("exec", result, err)
	}
	results(db.Query("CALL types_p(2, @total)"))
	var none int
	show("no rows", db.QueryRow("SELECT n FROM types_t WHERE n = ?", -1).Scan(&none))
}

func transactions(db *sql.DB) {
	ctx := context.Background()
	for _, options := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}, {ReadOnly: true}} {
		tx, err := db.BeginTx(ctx, options)
		check(err)
		result, err := tx.Exec("UPDATE types_t SET s = ? WHERE n = 1", "in a transaction")
		done("update", result, err)
		results(tx.Query("SELECT s FROM types_t WHERE n = ?", 1))
		check(tx.Rollback())
		results(db.Query("SELECT s FROM types_t WHERE n = ?", 1))
	}
	tx, err := db.Begin()
	check(err)
	statement, err := tx.Prepare("INSERT INTO types_t (n) VALUES (?)")
	check(err)
	for n := 300; n < 303; n++ {
		result, err := statement.Exec(n)
		done("statement", result, err)
	}
	check(tx.Commit())
	results(db.Query("SELECT COUNT(*) FROM types_t WHERE n >= 300"))
}

func main() {
	_, source, _, _ := runtime.Caller(0)
	types, err := os.ReadFile(filepath.Join(filepath.Dir(source), "..", "types.sql"))
	check(err)
	db := open("&parseTime=true")
	db.SetMaxOpenConns(1)
	for _, statement := range strings.Split(strings.TrimSpace(string(types)), "\n") {
		result, err := db.Exec(statement)
		done("types", result, err)
	}
	crud(db, 10) // with parameters: prepared by the server
	interpolating := open("&interpolateParams=true&clientFoundRows=true&multiStatements=true&time_zone=%27%2B05%3A00%27")
	interpolating.SetMaxOpenConns(1)
	crud(interpolating, 20)
	results(interpolating.Query("SELECT @@time_zone AS z; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2 AS b"))
	result, err := interpolating.Exec("UPDATE types_t SET s = 'multi' WHERE n < 3")
	done("found", result, err)
	transactions(db)

	// A file of the client, and a reader.
	mysql.RegisterReaderHandler("lines", func() io.Reader {
		var lines strings.Builder
		for n := 2000; n < 2500; n++ {
			fmt.Fprintf(&lines, "%d\tline %d\n", n, n)
		}
		return strings.NewReader(lines.String())
	})
	result, err = db.Exec("LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE types_t (n, s)")
	done("loaded", result, err)
	results(db.Query("SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000"))

	// A statement given up: its connection is closed, the next one is another.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(ctx, "DO SLEEP(5)")
	show("given up", err)
	show("ping", db.Ping())
	results(db.Query("SELECT COUNT(*) FROM types_t"))
}
