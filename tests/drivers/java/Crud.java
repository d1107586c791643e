// What an application on MariaDB Connector/J does, printed. Run against a server and against Landbridge,
// the output must be the same: java -cp mariadb-java-client.jar Crud.java HOST PORT USER PASSWORD on|off

import java.io.ByteArrayInputStream;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.*;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

public class Crud {
    static String[] arguments;
    static int big = 200_000;

    static Connection connect(String more) throws SQLException {
        var tls = arguments[4].equals("on") ? "useSsl=true&trustServerCertificate=true" : "useSsl=false&allowPublicKeyRetrieval=true";
        return DriverManager.getConnection("jdbc:mariadb://%s:%s/app?%s%s".formatted(arguments[0], arguments[1], tls, more), arguments[2], arguments[3]);
    }

    static Object brief(Object value) throws Exception {
        if (value instanceof Blob blob) value = blob.getBytes(1, (int) blob.length());
        if (value instanceof String text && text.length() > 200) value = text.getBytes("UTF-8");
        if (!(value instanceof byte[] bytes)) return value == null ? null : value.getClass().getSimpleName() + " " + value;
        if (bytes.length <= 200) return HexFormat.of().formatHex(bytes);
        return bytes.length + " bytes " + HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(bytes));
    }

    static void show(String what, Object... values) {
        System.out.println(what + ": " + Arrays.deepToString(values));
    }

    static void columns(ResultSetMetaData m) throws SQLException {
        for (int i = 1; i <= m.getColumnCount(); i++)
            show("column", m.getColumnLabel(i), m.getColumnName(i), m.getTableName(i), m.getCatalogName(i), m.getColumnType(i), m.getColumnTypeName(i),
                m.getColumnClassName(i), m.getPrecision(i), m.getScale(i), m.getColumnDisplaySize(i), m.isNullable(i), m.isSigned(i), m.isAutoIncrement(i));
    }

    static void rows(ResultSet rows) throws Exception {
        int count = rows.getMetaData().getColumnCount();
        while (rows.next()) {
            List<Object> values = new ArrayList<>();
            for (int i = 1; i <= count; i++) values.add(brief(rows.getObject(i)));
            show("row", values);
        }
    }

    static void results(Statement statement, boolean isRows) throws Exception {
        for (;; isRows = statement.getMoreResults()) {
            if (isRows) rows(statement.getResultSet());
            else if (statement.getUpdateCount() == -1) return;
            else show("count", statement.getUpdateCount());
        }
    }

    interface Work { void run() throws Exception; }

    static void attempt(Work work) throws Exception {
        try {
            work.run();
        } catch (BatchUpdateException e) {
            show("batch failed", e.getErrorCode(), e.getSQLState(), Arrays.toString(e.getUpdateCounts()));
        } catch (SQLException e) {
            show("error", e.getClass().getSimpleName(), e.getErrorCode(), e.getSQLState(), e.getMessage().replaceAll("conn=\\d+", "conn"));
        }
    }

    static void crud(Connection db, int base) throws Exception {
        try (var select = db.prepareStatement("SELECT * FROM types_t WHERE n = ? OR s = ?")) {
            for (int n : new int[] {1, 2, 3, 99}) {
                select.setInt(1, n);
                select.setString(2, "nobody");
                if (n == 1) columns(select.executeQuery().getMetaData());
                rows(select.executeQuery());
            }
        }
        var insert = db.prepareStatement("INSERT INTO types_t (n, s, b, d, dt, price, g) VALUES (?, ?, ?, ?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS);
        Object[] full = {base, "h\u00e9 \ud83d\ude00", new byte[] {0, -1, 39}, Date.valueOf("2026-02-28"), Timestamp.valueOf("2026-02-28 23:59:59.125"), new BigDecimal("1.50"), 0.1};
        for (Object[] row : new Object[][] {full, {base + 1, null, null, null, null, null, null}}) {
            for (int i = 0; i < row.length; i++) insert.setObject(i + 1, row[i]);
            show("insert", insert.executeUpdate());
            rows(insert.getGeneratedKeys());
        }
        for (int n = base + 2; n < base + 6; n++) {
            insert.setInt(1, n);
            insert.setString(2, "batch");
            insert.addBatch();
        }
        attempt(() -> show("batch", Arrays.toString(insert.executeBatch())));
        rows(insert.getGeneratedKeys());
        var update = db.prepareStatement("UPDATE types_t SET b = ? WHERE n = ?");
        update.setBinaryStream(1, new ByteArrayInputStream("ab".repeat(big / 2).getBytes()));
        update.setInt(2, base);
        show("update", update.executeUpdate());
        rows(db.createStatement().executeQuery("SELECT b, REPEAT('x', " + big + ") FROM types_t WHERE n = " + base));
        for (var sql : new String[] {"INSERT INTO types_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC", "INSERT INTO types_t (n) VALUES ('x')"})
            attempt(() -> show("succeeded", db.prepareStatement(sql).execute()));
        var warned = db.createStatement();
        warned.executeUpdate("INSERT IGNORE INTO types_t (n) VALUES (1)");
        for (var warning = warned.getWarnings(); warning != null; warning = warning.getNextWarning()) show("warning", warning.getErrorCode(), warning.getMessage());
        rows(warned.executeQuery("SHOW WARNINGS"));
        var call = db.prepareCall("{CALL types_p(?, ?)}");
        call.setInt(1, 2);
        call.registerOutParameter(2, Types.INTEGER);
        results(call, call.execute());
        show("out", call.getInt(2));
        try (var stream = db.prepareStatement("SELECT a.n, REPEAT('r', 100) FROM types_t a, types_t b, types_t c, types_t d LIMIT 20000")) {
            stream.setFetchSize(100);
            int count = 0;
            for (var rows = stream.executeQuery(); rows.next(); ) count += rows.getString(2).length();
            show("streamed", count);
        }
    }

    static void transactions(Connection db) throws Exception {
        db.setAutoCommit(false);
        for (int level : new int[] {Connection.TRANSACTION_SERIALIZABLE, Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ}) {
            db.setTransactionIsolation(level);
            var statement = db.createStatement();
            statement.executeUpdate("UPDATE types_t SET s = 'level " + level + "' WHERE n = 1");
            var savepoint = db.setSavepoint("sp");
            statement.executeUpdate("DELETE FROM types_t");
            db.rollback(savepoint);
            rows(statement.executeQuery("SELECT s FROM types_t WHERE n = 1"));
            if (level == Connection.TRANSACTION_SERIALIZABLE) db.rollback(); else db.commit();
        }
        db.setReadOnly(true);
        rows(db.createStatement().executeQuery("SELECT s FROM types_t WHERE n = 1"));
        db.commit();
        db.setReadOnly(false);
        db.setAutoCommit(true);
        show("state", db.getAutoCommit(), db.getTransactionIsolation(), db.getCatalog(), db.isValid(1));
    }

    public static void main(String[] args) throws Exception {
        arguments = args;
        int base = 10;
        for (var more : new String[] {"", "&useServerPrepStmts=true", "&useServerPrepStmts=true&useCursorFetch=true&useBulkStmts=false", "&rewriteBatchedStatements=true&allowMultiQueries=true"}) {
            show("options", more);
            big = more.isEmpty() && args[4].equals("off") ? 20_000_000 : 200_000;
            try (var db = connect(more)) {
                // What version 2 sends with an INSERT prepared by the server, MySQL calls malformed.
                var meta = db.getMetaData();
                if (more.contains("useServerPrepStmts") && meta.getDriverMajorVersion() < 3 && !meta.getDatabaseProductName().equals("MariaDB")) continue;
                for (var statement : Files.readAllLines(Path.of(System.getProperty("types")))) show("types", db.createStatement().executeUpdate(statement));
                crud(db, base += 10);
                transactions(db);
                attempt(() -> {
                    var several = db.createStatement();
                    results(several, several.execute("SELECT 1 AS a; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2"));
                });
            }
        }
        var file = Files.createTempFile("lines", ".tsv");
        try (var db = connect("&allowLocalInfile=true")) {
            var lines = new StringBuilder();
            for (int n = 2000; n < 2500; n++) lines.append(n).append("\tline ").append(n).append('\n');
            Files.writeString(file, lines);
            show("loaded", db.createStatement().executeUpdate("LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE types_t (n, s)"));
            rows(db.createStatement().executeQuery("SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000"));
        } finally {
            Files.delete(file);
        }
    }
}
