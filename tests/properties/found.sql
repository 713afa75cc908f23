-- Queries on which a form once differed from the authored text, or two forms that mean different things were one.
-- case: recursive_cte_with_a_column_list
WITH RECURSIVE r(a, b) AS (SELECT order_id, quantity FROM orders UNION ALL SELECT 1, 2 FROM r WHERE FALSE) SELECT b AS v FROM r;
-- case: cte_reference_with_a_column_list
WITH c AS (SELECT order_id, quantity FROM orders) SELECT q.b AS v FROM c AS q(a, b);
-- case: input_with_a_column_list
SELECT q.c AS v FROM employees AS q(a, b, c, d, e, f, g, h);
-- case: order_by_an_alias_that_the_column_list_gives_to_another_column
SELECT q.a FROM (SELECT order_id AS a, quantity AS b FROM orders ORDER BY b, a LIMIT 3) AS q(b, a);
-- case: qualify_by_a_column_whose_name_the_column_list_gives_away
SELECT q.step AS v FROM (SELECT RANK() OVER (ORDER BY e.kind) AS r, e.event_id AS i FROM events AS e QUALIFY COUNT(*) OVER (ORDER BY e.step DESC) < 3) AS q(step, i);
-- case: alias_of_a_semi_join_that_is_a_column
SELECT o.order_id FROM orders AS o LEFT SEMI JOIN customers AS status ON o.customer_id = status.customer_id;
-- case: alias_that_is_also_a_cte_which_a_subquery_sees
WITH o AS (SELECT status AS order_id, customer_id AS k FROM orders) SELECT o.order_id, (SELECT COUNT(*) FROM o) AS n FROM orders AS o WHERE EXISTS (SELECT 1 FROM customers AS c WHERE c.customer_id = o.customer_id);
-- case: exists_beside_a_column_named_underscore
WITH y AS (SELECT order_id AS _, amount FROM orders) SELECT x._ AS v FROM y AS x WHERE NOT EXISTS (SELECT 1 FROM y AS y WHERE y._ = x._ AND y.amount > 1);
-- case: three_times_not
SELECT order_id FROM orders WHERE NOT NOT NOT quantity > item_id;
-- case: connectors_in_connectors
SELECT order_id FROM orders WHERE (paid AND (quantity > 2 OR NOT (item_id = 1 AND price > 1.0))) OR (status = 'open' AND (paid OR amount > 1));
-- case: union_all_of_two_constants_cut_off
SELECT 2 AS a, employee_id AS b FROM employees UNION ALL SELECT 1 AS a, item_id AS b FROM items ORDER BY a, b LIMIT 3;
-- case: limit_over_a_union_all_read_by_a_window
SELECT t.a, RANK() OVER (ORDER BY t.b) AS r FROM (SELECT DATE '2024-01-31' AS a, employee_id AS b FROM employees UNION ALL SELECT DATE '1969-12-31' AS a, item_id AS b FROM items ORDER BY a, b DESC LIMIT 3) AS t;
-- case: cte_with_a_column_list_inside_a_derived_table_with_one
SELECT q.a FROM (WITH x(i, d) AS (SELECT joined_on AS e, name AS i FROM customers ORDER BY e, i LIMIT 3) SELECT x.d AS n, x.i AS m FROM x ORDER BY m, n LIMIT 2) AS q(a, b);
-- case: alias_of_an_anti_join_that_means_an_outer_table_in_where
SELECT customers.customer_id FROM customers WHERE EXISTS (SELECT 1 FROM orders AS o LEFT ANTI JOIN events AS customers ON customers.customer_id = o.item_id WHERE o.customer_id = customers.customer_id AND customers.tier > 0);
-- case: comma_before_a_right_join
SELECT e.name AS a, o.price AS b, i.item_id AS c FROM employees AS e, orders AS o RIGHT JOIN items AS i ON o.paid = i.in_stock;
-- case: comma_before_a_full_join_after_a_comma
SELECT COUNT(*) AS n, COUNT(e.name) AS a, COUNT(o.status) AS b FROM employees AS e, customers AS c, orders AS o FULL JOIN items AS i ON o.item_id = i.item_id;
-- case: cte_named_like_an_output_that_order_by_uses
WITH total AS (SELECT status, item_id, quantity FROM orders) SELECT t.status AS s, COUNT(*) AS total FROM total AS t CROSS JOIN total AS u GROUP BY t.status ORDER BY total, s;
-- case: position_of_a_constant_that_is_merged_away
SELECT q.n, q.b FROM (SELECT 1 AS a, o.status AS b, COUNT(o.amount) AS n FROM orders AS o GROUP BY 1, 2) AS q;
-- case: position_of_a_constant_that_moves
SELECT q.n, q.a FROM (SELECT 'x' AS a, COUNT(o.amount) AS n FROM orders AS o GROUP BY 1) AS q;
-- case: one_cte_with_grouping_sets_read_twice
WITH c AS (SELECT q.a AS a, q.b AS b FROM (SELECT o.status AS a, o.placed_on AS b FROM orders AS o GROUP BY ROLLUP (o.status, o.placed_on)) AS q WHERE q.a = 'open' OR q.a = '' OR (q.a LIKE '%n%' AND 1 = NULL)) SELECT c.a, c.b FROM c CROSS JOIN (SELECT MAX(d.a) AS m FROM c AS d) AS e;
-- case: one_table_twice_grouped_by_both
SELECT '' AS a, t.ok AS b, u.ok AS c FROM readings AS t JOIN (SELECT * FROM readings AS r WHERE r.counter BETWEEN 3 AND 3) AS u ON t.sensor_id = u.sensor_id WHERE u.x > 1.5 GROUP BY 1, t.ok, u.ok, 1;
-- case: parentheses_with_clauses_around_them
WITH q AS ((SELECT o.status, o.order_id FROM orders AS o) ORDER BY order_id LIMIT 3) SELECT q.status, q.order_id FROM q UNION ALL ((SELECT c.name AS status, c.customer_id AS k FROM customers AS c) ORDER BY k, status LIMIT 2);
-- case: column_that_a_moved_filter_leaves_unread_beside_a_sum_in_two_steps
SELECT t.a FROM (SELECT o.status AS a, o.item_id AS b, COUNT(*) AS n FROM orders AS o GROUP BY o.status, o.item_id) AS t CROSS JOIN (SELECT COUNT(DISTINCT counter) AS m, SUM(x) AS s FROM readings) AS u WHERE t.b = 3 AND t.n > 0 AND u.s > 1;
-- case: names_of_outputs_that_nobody_reads
WITH orders("A") AS (SELECT _0.status || '-' || status AS status FROM orders AS _0 JOIN readings AS r ON _0.paid = r.ok WHERE _0.order_id IN (SELECT DISTINCT z.sensor_id AS _c2 FROM readings AS z LEFT SEMI JOIN readings AS _t2 ON z.sensor_id = _t2.counter)) SELECT 1.5 AS a, 0.01 AS b FROM orders, orders AS "a b" WHERE ("a b"."A" IS DISTINCT FROM 'north');
-- case: a_one_that_is_read_beside_a_column_that_is_not
SELECT x.a, y.b FROM (SELECT 1 AS a, o.status AS b FROM orders AS o ORDER BY o.order_id LIMIT 3) AS x CROSS JOIN (SELECT 1 AS a, 2 AS b FROM orders AS o ORDER BY o.order_id LIMIT 2) AS y WHERE x.a < y.b;

-- case: order_by_constant_key_of_rollup
SELECT 'x' AS a, region AS b, COUNT(*) AS n FROM customers GROUP BY ROLLUP ('x', region) ORDER BY a DESC, n, b;
