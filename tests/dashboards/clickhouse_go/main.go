// Asks one question with the driver that Grafana's plugin uses, as the plugin sets it up, and prints
// columns, types and rows as JSON lines.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"log"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func main() {
	address, password, question := os.Args[1], os.Args[2], os.Args[3]
	database := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{address},
		Auth:        clickhouse.Auth{Database: "taximeter", Username: "grafana", Password: password},
		Protocol:    clickhouse.HTTP,
		HttpUrlPath: "/clickhouse",
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		Settings:    clickhouse.Settings{"max_execution_time": 60},
	})
	defer database.Close()
	if err := database.PingContext(context.Background()); err != nil {
		log.Fatal("ping: ", err)
	}
	rows, err := database.Query(question)
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	print(rows)
}

func print(rows *sql.Rows) {
	types, err := rows.ColumnTypes()
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, one := range types {
		out.Encode([]string{one.Name(), one.DatabaseTypeName()})
	}
	values := make([]any, len(types))
	for at := range values {
		values[at] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			log.Fatal(err)
		}
		out.Encode(values)
	}
	if err := rows.Err(); err != nil {
		log.Fatal(err)
	}
}
