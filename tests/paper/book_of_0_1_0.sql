PRAGMA user_version = 2;
CREATE TABLE account (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "account" VALUES(19816,'{"cash": "16845.00", "realized": "730.000000"}');
CREATE TABLE effect (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "effect" VALUES(1,'{"at": "2026-11-23T15:00:00+00:00", "operation": "close_position", "account": 19816, "request_id": "00000000-0000-4000-8000-000000000003", "made": ["00000000-0000-4000-8000-000000000004"]}');
CREATE TABLE fault (key INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
INSERT INTO "fault" VALUES(1,'{"operation": "any", "kind": "latency", "times": null, "seconds": "0.5", "after_effect": false}');
CREATE TABLE holding (
    account INTEGER NOT NULL, symbol TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, symbol)
) WITHOUT ROWID;
INSERT INTO "holding" VALUES(19816,'KO','{"quantity": "300", "cost": "18345.000000", "realized_today": "730.000000", "realized_day": "2026-11-23"}');
INSERT INTO "holding" VALUES(19816,'KO261218C00070000','{"quantity": "5", "cost": "550.00", "realized_today": "0", "realized_day": null}');
CREATE TABLE instruction (key TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO "instruction" VALUES('00000000-0000-4000-8000-000000000001',1,'{"number": 1, "account": 19816, "client_key": "00000000-0000-4000-8000-000000000001", "instruction_type": "EXERCISE", "symbol": "KO261218C00070000", "quantity": "2", "status": "SENT", "created_at": "2026-11-23T14:30:00+00:00", "updated_at": "2026-11-23T14:30:00+00:00", "accepted": null, "reason": "", "reason_code": "", "due_at": "2026-11-23T15:00:05+00:00", "settled": false}');
CREATE TABLE instrument (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "instrument" VALUES('KO','{"id": "6ec5e2ab-5437-547a-8430-fef5e830d560", "price": "68.20", "volatility": "0.30", "venue": "XNAS", "behaviour": {"fills": "0.5", "rejects": "", "reason": "", "accepts": null, "clearing_rejects": false, "cancel_fails": false, "unresolvable": false, "refuses": ""}}');
INSERT INTO "instrument" VALUES('KO261218C00070000','{"id": "778ce791-94a8-5796-ace7-44624feda1bb", "price": null, "volatility": "0.30", "venue": "XCBO"}');
CREATE TABLE movement (key INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "movement" VALUES(1,'{"at": "2026-11-23T15:00:01+00:00", "kind": "fill", "account": 19816, "symbol": "KO", "quantity": "-100", "price": "68.45", "cash": "6845.00", "before": {"quantity": "400", "cost": "24460.00", "realized_today": "0", "realized_day": null}, "order_id": "00000000-0000-4000-8000-000000000004"}');
CREATE TABLE orders (key TEXT PRIMARY KEY, number INTEGER NOT NULL, body TEXT NOT NULL);
INSERT INTO "orders" VALUES('00000000-0000-4000-8000-000000000004',1,'{"number": 1, "account": 19816, "symbol": "KO", "side": "SELL", "quantity": "400", "status": "PARTIALLY_FILLED", "created_at": "2026-11-23T15:00:00+00:00", "updated_at": "2026-11-23T15:00:01+00:00", "venue": "XNAS", "order_type": "MARKET", "time_in_force": "DAY", "limit_price": null, "filled": "100", "filled_value": "6845.00", "releases_at": null, "details": [], "legs": [], "steps": [["2026-11-23T15:00:02+00:00", "fill", "100"], ["2026-11-23T16:00:00-05:00", "expire", "0"]], "history": [["2026-11-23T15:00:00+00:00", "PENDING_NEW", "0", "0", 0], ["2026-11-23T15:00:00.300000+00:00", "NEW", "0", "0", 0]]}');
CREATE TABLE state (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "state" VALUES('as_of','2026-11-23T15:00:01+00:00');
INSERT INTO "state" VALUES('clock','{"mode": "running", "at": null, "ahead": "1500000"}');
INSERT INTO "state" VALUES('facts','{"scenario": "small.toml", "title": "A book of release 0.1.0", "loaded_at": "2026-11-23T15:00:00+00:00", "anchor": "2026-11-20T16:00:00-05:00", "as_of": "2026-11-23T15:00:01+00:00", "token_secret": "019c612f8ee38b3a4544b806f6fa2b20", "seed": "", "digest": "23474662b9d0ac5de50970bf628c3905", "born": "0cecfed1531dd796", "ids_made": 0, "delays": {"acknowledge": 300000, "first_fill": 1000000, "last_fill": 2000000, "clearing": 5000000, "cancel": 5000000}}');
INSERT INTO "state" VALUES('revision','3');
