import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * Requests to an application with Spring's transactions, on the connection that a pool of one has:
 *
 * <pre>java -cp .. Requests.java PORT USER PASSWORD</pre>
 *
 * For each line of the input one request: {@code write} reads five rows and changes one, {@code read} only reads. When
 * the request is over, a line with the value of the first row is printed. The libraries are Debian's.
 */
class Requests {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:mariadb://127.0.0.1:" + arguments[0] + "/app";
        var source = new SingleConnectionDataSource(url, arguments[1], arguments[2], true);
        var transactions = new TransactionTemplate(new DataSourceTransactionManager(source));
        var database = new JdbcTemplate(source);
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            boolean writes = line.equals("write");
            Integer value = transactions.execute(status -> {
                List<Integer> rows = new ArrayList<>();
                for (int id = 1; id <= 5; id++) {
                    rows.add(database.queryForObject("SELECT n FROM t WHERE id = ?", Integer.class, id));
                }
                if (!writes) {
                    return rows.get(0);
                }
                database.update("UPDATE t SET n = ? WHERE id = ?", rows.get(0) + 1, 1);
                return rows.get(0) + 1;
            });
            System.out.println(value);
        }
        source.destroy();
    }
}
