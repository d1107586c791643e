<?php

namespace App\Http\Middleware;

use Closure;
use Illuminate\Database\QueryException;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;
use PDO;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpFoundation\Response;

/**
 * Carries Landbridge's consistency token in a cookie: the next request, on whatever host or in whatever
 * region, sees what this one wrote and saw. It stands before EncryptCookies, and its cookie is not encrypted.
 */
final class LandbridgeToken
{
    private const COOKIE = 'landbridge_token';
    private const TOKEN = '/^[A-Za-z0-9_~-]{1,4000}$/D';
    // No such variable: a server without Landbridge. No such value: a cookie that somebody made up.
    private const REFUSED = [1193, 1231];

    public function handle(Request $request, Closure $next): Response
    {
        $token = $request->cookie(self::COOKIE);
        if (is_string($token) && preg_match(self::TOKEN, $token)) {
            try {
                DB::statement('SET @@landbridge_token = ?', [$token]);
            } catch (QueryException $error) {
                if (!in_array($error->errorInfo[1] ?? null, self::REFUSED, true)) {
                    throw $error;
                }
            }
        }
        $response = $next($request);
        $token = $this->tokenNow();
        if ($token !== '') {
            $response->headers->setCookie(
                Cookie::create(self::COOKIE, $token, time() + 3600, secure: $request->isSecure()),
            );
        }

        return $response;
    }

    private function tokenNow(): string
    {
        if (!DB::connection()->getRawPdo() instanceof PDO) {
            return ''; // The request has not used the database.
        }
        try {
            return DB::selectOne('SELECT @@landbridge_token AS token')->token;
        } catch (QueryException) {
            return '';
        }
    }
}
