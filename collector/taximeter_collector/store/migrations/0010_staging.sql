-- Each process that writes has staging tables of its own now, made when it first decodes.
DROP TABLE IF EXISTS taximeter.incoming;

DROP TABLE IF EXISTS taximeter.incoming_rates;
