@echo off
rem Opens the dashboard with the bundled demo record: double-click it. Arguments are passed on to it.
setlocal
cd /d "%~dp0"
set "python=py -3"
cmd /c %python% -c "" >nul 2>nul
if not errorlevel 1 goto found
set "python=python"
cmd /c %python% -c "" >nul 2>nul
if not errorlevel 1 goto found
echo Python was not found. Install it from https://www.python.org/downloads/ and tick "Add python.exe to PATH" there,
echo then run %~nx0 again.
set "code=2"
goto end
:found
cmd /c %python% launch.py demo %*
set "code=%errorlevel%"
:end
if not "%code%"=="0" pause
exit /b %code%
